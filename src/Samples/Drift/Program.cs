using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

const int Seed = 2026, TrainRows = 1437;
const string Normalized = "Features", Pixels = nameof(Digit.Pixels);

var mlContext = new MLContext(Seed);
mlContext.Log += (_, log) =>
{
    if (log.Kind == Microsoft.ML.Runtime.ChannelMessageKind.Warning)
        Show.Text($"  warning: {log.RawMessage}");
};
Digit[] digits = Digit.Load();
new Random(Seed).Shuffle(digits);
Digit[] heldOut = digits[TrainRows..], exposed = Array.ConvertAll(heldOut, digit => digit.Expose(0.5f, 3));
Show.Title(
    "Has the data drifted from what the layer was fitted to?",
    $"{digits.Length:N0} handwritten digits of 8 x 8 pixels, 0 for paper to 16 for ink: {TrainRows:N0} to fit batch " +
    $"normalization, {heldOut.Length} held out, seed {Seed}.");

BatchNormalizationTransformer layer = mlContext.Transforms.BatchNormalization(new BatchNormalizationEstimator.Options
{
    Columns = [new InputOutputColumnPair(Normalized, Pixels)],
    WarnOnDrift = true,
}).Fit(mlContext.Data.LoadFromEnumerable(digits[..TrainRows]));

Tell(1, "Held-out digits", "They come from the same data as the others.", heldOut);
DriftReport drift =
    Tell(2, "Another exposure", "The same digits at half the contrast on grey paper: 0.5 * pixel + 3.", exposed);
string page = Path.Combine(AppContext.BaseDirectory, "drift.html");
drift.SaveHtml(page, title: "Digits under another exposure");
Show.File("As a page to look at in a browser:", page);

Show.Heading(
    3, "A warning while transforming",
    "WarnOnDrift looks at a sample of the rows that pass, and warns once through the context's log:");
Read(heldOut);
Read(exposed);

Show.Heading(
    4, "Fine-tuned", "FineTune merges the new rows into the statistics, without labels; then they fit better:");
layer = layer.FineTune(mlContext.Data.LoadFromEnumerable(exposed));
ChannelDrift worst = layer.CompareStatistics(mlContext.Data.LoadFromEnumerable(exposed))[Normalized].Channels[0];
Show.Text($"  the worst pixel, {worst.Channel}, is now {worst.MeanShift:0.00} deviations from the statistics.");

DriftReport Tell(int number, string title, string text, Digit[] rows)
{
    Show.Heading(number, title, text);
    DriftReport report = layer.CompareStatistics(mlContext.Data.LoadFromEnumerable(rows))[Normalized];
    Show.Text(report.ToTable(rows: 5));
    Show.Text(
        $"Drift at the 1 % level: {Show.YesNo(report.IsDrift(0.01))}, in {report.Drifted(0.01).Count} of " +
        $"{report.Channels.Count} pixels.");
    return report;
}

void Read(Digit[] rows) =>
    _ = layer.Transform(mlContext.Data.LoadFromEnumerable(rows)).GetColumn<float[]>(Normalized).Count();

sealed record Digit([property: VectorType(64)] float[] Pixels)
{
    public static Digit[] Load() =>
        Array.ConvertAll(Digits.Lines(), line => new Digit([.. line.Split(',').Take(64).Select(float.Parse)]));

    /// <summary>Every pixel becomes gain * pixel + haze.</summary>
    public Digit Expose(float gain, float haze) => new(Array.ConvertAll(Pixels, pixel => gain * pixel + haze));
}
