using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>Arrays of the rows of a batch.</summary>
static class BatchRows
{
    /// <param name="host">Whose error it is where no array is that long.</param>
    /// <param name="batchSize">The rows of a batch.</param>
    /// <param name="ahead">Rows behind it that are held too.</param>
    /// <param name="length">Values in a row.</param>
    public static T[] Allocate<T>(IExceptionContext host, int batchSize, int ahead, int length)
    {
        long values = ((long)batchSize + ahead) * length;
        return values <= Array.MaxLength
            ? new T[values]
            : throw host.ExceptUserArg(
                nameof(FitSettings.BatchSize),
                $"BatchSize must be at most {Array.MaxLength / length - ahead} where a row has {length} values, not " +
                $"{batchSize}.");
    }
}
