// Fits generated rows in whatever heap the environment allows the process, and prints that heap's limit in bytes, and
// the mean and the variance of each slot.

using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.Transforms;

if (args is not [string kind, string shuffle, string length, string rows, string set])
    throw new ArgumentException(
        "Five arguments are needed: statistics, whether to shuffle, a row's length, rows, and whether a set of " +
        "cursors gives them.");
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

static void Fill(long row, Span<float> values)
{
    for (int slot = 0; slot < values.Length; slot++)
        values[slot] = row % 8 + slot;
}
