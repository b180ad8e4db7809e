using System.Globalization;

namespace Microsoft.ML.Transforms;

/// <summary>Tells that a row has another number of values than its column's type says.</summary>
static class WrongLength
{
    /// <param name="column">The column's name.</param>
    /// <param name="length">The values of the row.</param>
    /// <param name="position">Its position in the data.</param>
    /// <param name="expected">What the type says.</param>
    public static string Describe(string column, int length, long position, int expected) => string.Create(
        CultureInfo.InvariantCulture,
        $"Column '{column}' has {length} values in row {position}, where its type says {expected}.");
}
