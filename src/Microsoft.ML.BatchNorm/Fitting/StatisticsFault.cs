using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Transforms;

/// <summary>Tells which column and slot an error of the statistics is about.</summary>
static class StatisticsFault
{
    /// <param name="column">The column's name.</param>
    /// <param name="layout">Where the channels lie in a row.</param>
    /// <param name="error">The error.</param>
    public static string Describe(string column, ChannelLayout layout, InvalidDataException error) =>
        VarianceOverflow.ChannelOf(error) is { } slot && layout.Channels == layout.Count
            ? $"Column '{column}': the variance of slot {slot} {VarianceOverflow.Text}."
            : $"Column '{column}': {error.Message}";
}
