using System.Globalization;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Testing;

static class GeneratedFit
{
    /// <summary>
    /// Fits rows that are made as they are read, and prints the limit of the process's heap in bytes and then the mean
    /// and the variance of each slot.
    /// </summary>
    /// <param name="options">
    /// The kind of statistics, whether to shuffle, a row's length, rows, and whether a set of cursors gives them.
    /// </param>
    public static void Run(string[] options)
    {
        if (options is not [string kind, string shuffle, string length, string rows, string set])
            throw new ArgumentException("A fit takes five arguments.");
        CultureInfo culture = CultureInfo.InvariantCulture;
        var ml = new MLContext(1);
        IDataView view = new GeneratedView(int.Parse(length, culture), long.Parse(rows, culture), Fill);
        bool isSet = bool.Parse(set);
        if (isSet)
            view = ml.Transforms.Concatenate("X", "X").Fit(view).Transform(view);
        BatchNormalizationState state = ml.Transforms.BatchNormalization(new BatchNormalizationEstimator.Options
        {
            Columns = [new InputOutputColumnPair("Y", "X")],
            Layer = new() { MovingStatistics = Enum.Parse<MovingStatistics>(kind) },
            Shuffle = bool.Parse(shuffle),
            NumberOfThreads = isSet ? 2 : null,
        }).Fit(view).GetState("Y");

        Console.WriteLine(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        for (int slot = 0; slot < state.Channels; slot++)
            Console.WriteLine(string.Create(culture, $"{state.MovingMean[slot]:R} {state.MovingVariance[slot]:R}"));
    }

    static void Fill(long row, Span<float> values)
    {
        for (int slot = 0; slot < values.Length; slot++)
            values[slot] = row % 8 + slot;
    }
}
