using System.Collections.ObjectModel;
using System.Globalization;
using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>How far new data is from the statistics of a layer, channel by channel; immutable.</summary>
/// <remarks>
/// <para>
/// Each channel is tested twice, for another mean and for another variance (<see cref="ChannelDrift"/> has the
/// formulas). The p-values account for the number of new values, for the number of training values if the state knows
/// it, for distributions that are not normal (many zeros, rare values, heavy tails, constants), and for the number of
/// tests.
/// </para>
/// <para>
/// Each test assumes that the rows are independent. Rows that depend on each other, such as consecutive rows of a time
/// series, make the p-values too small: take rows from the whole series. The values within a row may depend on each
/// other. A p-value says whether a channel has moved, not whether that matters: with enough rows every channel has
/// moved. <see cref="ChannelDrift.MeanShift"/>, <see cref="ChannelDrift.VarianceRatio"/> and
/// <see cref="ChannelDrift.Divergence"/> say by how much. A channel that has become constant near its old mean is not
/// flagged, because rare values may be absent by chance; its variance ratio is 0.
/// </para>
/// <para>
/// <see cref="ToTable"/> is plain text. <see cref="ToHtml"/> is a page in one file that loads nothing and runs no
/// script; it follows the light or dark theme of the reader's system, and the same numbers give the same bytes. A
/// notebook of .NET Interactive shows the object as that page.
/// </para>
/// </remarks>
[TypeFormatterSource(typeof(NotebookFormatterSource))]
public sealed class DriftReport : IReport
{
    const double DefaultSignificance = 0.01;

    const string DefaultTitle = "Drift report";

    const int ShownChannels = 20;

    static readonly string[] headers = ["channel", "mean", "was", "sd", "was", "shift", "ratio", "KL", "p-value"];

    DriftReport(ChannelDrift[] channels, bool hasTrainingCounts) =>
        (Channels, HasTrainingCounts) = (new ReadOnlyCollection<ChannelDrift>(channels), hasTrainingCounts);

    /// <summary>
    /// All channels, the worst first: by <see cref="ChannelDrift.AdjustedPValue"/>, then the smaller uncorrected
    /// p-value, then <see cref="ChannelDrift.Divergence"/>, then the number of the channel.
    /// </summary>
    public IReadOnlyList<ChannelDrift> Channels { get; }

    /// <summary>
    /// Whether the state knows how many values its statistics were formed from, as with
    /// <see cref="MovingStatistics.Population"/>. Moving averages and pretrained statistics have no such number: they
    /// are taken as exact, and because they are not, the p-values are somewhat too small.
    /// </summary>
    public bool HasTrainingCounts { get; }

    /// <summary>The p-value for the hypothesis that no channel has drifted: the smallest corrected one.</summary>
    public double PValue => Channels[0].AdjustedPValue;

    /// <summary>Whether any channel has drifted.</summary>
    /// <param name="significance">The probability of a false alarm, between 0 and 1. Default: 0.01.</param>
    /// <exception cref="ArgumentOutOfRangeException">The significance is out of range.</exception>
    public bool IsDrift(double significance = DefaultSignificance) =>
        PValue <= Check.Share(significance, nameof(significance));

    /// <summary>The channels that have drifted, the worst first.</summary>
    /// <inheritdoc cref="IsDrift"/>
    public IReadOnlyList<ChannelDrift> Drifted(double significance = DefaultSignificance)
    {
        Check.Share(significance, nameof(significance));
        return [.. Channels.TakeWhile(channel => channel.AdjustedPValue <= significance)];
    }

    /// <summary>Compares new data with the statistics of a state.</summary>
    /// <param name="state">The training side: its exact statistics, or its moving ones if it has no others.</param>
    /// <param name="statistics">
    /// The new side, with the same number of channels. Channels without values are not tested.
    /// </param>
    /// <param name="squaredDeviations">
    /// The statistics of the squares (x − <see cref="BatchNormalizationState.MovingMean"/>)² of the same values, from
    /// which the kurtosis follows (<see cref="DriftStatistics"/> forms both). Null to test only the means.
    /// </param>
    /// <param name="valuesPerRow">
    /// How many values per channel a row has, on both sides: 1 for features, height × width for images. The values of
    /// a row depend on each other, so the tests count them as one. Default: 1.
    /// </param>
    /// <param name="names">One name per channel, or null.</param>
    /// <exception cref="ArgumentException">A number of channels or names differs.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="valuesPerRow"/> is not positive.</exception>
    public static DriftReport Compare(
        BatchNormalizationState state, BatchStatistics statistics, BatchStatistics? squaredDeviations = null,
        int valuesPerRow = 1, IReadOnlyList<string>? names = null)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(statistics);
        Check.Positive(valuesPerRow, nameof(valuesPerRow));
        CheckLength(statistics.Channels, nameof(statistics));
        CheckLength(squaredDeviations?.Channels ?? state.Channels, nameof(squaredDeviations));
        CheckLength(names?.Count ?? state.Channels, nameof(names));
        var comparison = new ChannelComparison(state, statistics, squaredDeviations, valuesPerRow);
        return new DriftReport(comparison.Run(names), hasTrainingCounts: state.Population is not null);

        void CheckLength(int length, string name)
        {
            if (length != state.Channels)
                throw new ArgumentException(
                    $"The argument {name} has {length} channels, the state has {state.Channels}.", name);
        }
    }

    /// <summary>The table of the worst 20 channels.</summary>
    public override string ToString() => ToTable(ShownChannels);

    /// <summary>
    /// A table of the worst channels in plain text, with a line feed at the end of each line: the mean and the standard
    /// deviation, now and in training; the standardized mean shift, the variance ratio, the symmetric Kullback–Leibler
    /// divergence, and the corrected p-value.
    /// </summary>
    /// <param name="rows">How many channels to show at most, at least 1; a last line counts the others.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="rows"/> is not positive.</exception>
    public string ToTable(int rows)
    {
        Check.Positive(rows, nameof(rows));
        string[][] cells = [headers, .. Channels.Take(rows).Select(Cells)];
        int[] widths = [.. headers.Select((_, column) => cells.Max(row => row[column].Length))];
        var text = new StringBuilder();
        foreach (string[] row in cells)
        {
            text.Append(row[0].PadRight(widths[0]));
            for (int column = 1; column < row.Length; column++)
                text.Append("  ").Append(row[column].PadLeft(widths[column]));
            text.Append('\n');
        }
        if (rows < Channels.Count)
            text.Append(CultureInfo.InvariantCulture, $"and {Channels.Count - rows} more channels\n");
        if (!HasTrainingCounts)
            text.Append("The number of training values is not known; their statistics are taken as exact.\n");
        return text.ToString();
    }

    /// <summary>
    /// The report as a page, the worst channels first: one file that loads nothing and runs no script.
    /// </summary>
    /// <param name="significance">The probability of a false alarm, between 0 and 1. Default: 0.01.</param>
    /// <param name="title">The title of the page, such as the name of the column.</param>
    /// <exception cref="ArgumentOutOfRangeException">The significance is out of range.</exception>
    public string ToHtml(double significance = DefaultSignificance, string title = DefaultTitle) =>
        ReportPage.Page(Page(significance, title));

    /// <summary>Writes the page of <see cref="ToHtml"/>, in UTF-8.</summary>
    /// <param name="path">The file. An existing file is replaced in one step.</param>
    /// <param name="significance">The probability of a false alarm, between 0 and 1. Default: 0.01.</param>
    /// <param name="title">The title of the page, such as the name of the column.</param>
    /// <exception cref="ArgumentException">The path is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The significance is out of range.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">You may not write the file.</exception>
    public void SaveHtml(string path, double significance = DefaultSignificance, string title = DefaultTitle) =>
        ReportPage.Save(Page(significance, title), path);

    /// <summary>Writes the page of <see cref="ToHtml"/>, in UTF-8.</summary>
    /// <param name="stream">The page is written at its position; it is neither flushed nor closed.</param>
    /// <param name="significance">The probability of a false alarm, between 0 and 1. Default: 0.01.</param>
    /// <param name="title">The title of the page, such as the name of the column.</param>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The significance is out of range.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void SaveHtml(Stream stream, double significance = DefaultSignificance, string title = DefaultTitle) =>
        ReportPage.Save(Page(significance, title), stream);

    string IReport.Title => Page(DefaultSignificance, DefaultTitle).Title;

    string IReport.Body() => Page(DefaultSignificance, DefaultTitle).Body();

    DriftPage Page(double significance, string title) =>
        new(this, Check.Share(significance, nameof(significance)), Check.NotNull(title));

    static string[] Cells(ChannelDrift channel) =>
    [
        channel.Label,
        Number(channel.Mean),
        Number(channel.TrainingMean),
        Number(Math.Sqrt(channel.Variance)),
        Number(Math.Sqrt(channel.TrainingVariance)),
        Number(channel.MeanShift),
        Number(channel.VarianceRatio),
        Number(channel.Divergence),
        channel.AdjustedPValue.ToString(
            channel.AdjustedPValue is > 0 and < 1e-3 ? "0.0E0" : "0.000", CultureInfo.InvariantCulture),
    ];

    static string Number(double value) =>
        double.IsFinite(value) ? value.ToString("G3", CultureInfo.InvariantCulture)
        : double.IsNaN(value) ? "-"
        : value > 0 ? "inf" : "-inf";
}
