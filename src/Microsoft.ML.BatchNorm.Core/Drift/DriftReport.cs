using System.Collections.ObjectModel;
using System.Globalization;

namespace Microsoft.ML.BatchNorm;

/// <summary>How far new data is from the statistics of a layer, channel by channel; immutable.</summary>
/// <remarks>
/// <para>
/// Each channel is tested for another mean and for another variance; and where the state keeps histograms
/// (<see cref="ChannelHistograms"/>) also for another shape and for another share of missing values.
/// <see cref="ChannelDrift"/> has the formulas. Without histograms, a distribution of another shape with the same mean
/// and variance cannot be seen. The p-values account for the number of new values, for the number of training values if
/// the state knows it, for distributions that are not normal (many zeros, rare values, heavy tails, constants), and for
/// the number of tests.
/// </para>
/// <para>
/// Each test assumes that the rows are independent. Rows that depend on each other, such as consecutive rows of a time
/// series, make the p-values too small: take rows from the whole series. The values within a row may depend on each
/// other. A p-value says whether a channel has moved, not whether that matters: with enough rows every channel has
/// moved. <see cref="ChannelDrift.MeanShift"/>, <see cref="ChannelDrift.VarianceRatio"/>,
/// <see cref="ChannelDrift.Divergence"/> and <see cref="ChannelDrift.ShapeStatistic"/> say by how much. A channel that
/// has become constant near its old mean is not flagged, because rare values may be absent by chance; its variance
/// ratio is 0.
/// </para>
/// <para>
/// <see cref="ToTable"/> is plain text. <see cref="ToHtml"/> is a page in one file that loads nothing and runs no
/// script; it follows the light or dark theme of the reader's system, and the same report gives the same bytes. A
/// notebook of .NET Interactive shows the object as that page.
/// </para>
/// </remarks>
[TypeFormatterSource(typeof(NotebookFormatterSource))]
public sealed class DriftReport : IReport
{
    const double DefaultSignificance = 0.01;

    const int ShownChannels = 20;

    DriftReport(ChannelDrift[] channels) => Channels = new ReadOnlyCollection<ChannelDrift>(channels);

    /// <summary>
    /// All channels, the surest drift first: by <see cref="ChannelDrift.AdjustedPValue"/>, then the smallest
    /// uncorrected p-value, then <see cref="ChannelDrift.Divergence"/>, then the number of the channel.
    /// </summary>
    public IReadOnlyList<ChannelDrift> Channels { get; }

    /// <summary>
    /// Whether the state knows how many values its statistics were formed from, as with
    /// <see cref="MovingStatistics.Population"/>. Moving averages and pretrained statistics have no such number: they
    /// are taken as exact, and because they are not, the p-values are somewhat too small.
    /// </summary>
    public bool HasTrainingCounts { get; private init; }

    /// <summary>Whether the shapes of the distributions were compared, since both sides have histograms.</summary>
    public bool HasHistograms => Histograms is not null;

    /// <summary>What was compared, such as the name of a column; null if that was not said.</summary>
    public string? Subject { get; private init; }

    /// <summary>When the comparison was made, in UTC.</summary>
    public DateTime Created { get; } = DateTime.UtcNow;

    /// <summary>The new side's histograms, and those of the training side; null if one of them has none.</summary>
    internal (ChannelHistograms Training, ChannelHistograms Current)? Histograms { get; private init; }

    /// <summary>The number of new rows.</summary>
    internal double Rows { get; private init; }

    /// <summary>The number of training rows; infinite if it is not known.</summary>
    internal double TrainingRows { get; private init; }

    /// <summary>The p-value for the hypothesis that no channel has drifted: the smallest corrected one.</summary>
    public double PValue => Channels[0].AdjustedPValue;

    /// <summary>Whether any channel has drifted.</summary>
    /// <param name="significance">The probability of a false alarm, between 0 and 1. Default: 0.01.</param>
    /// <exception cref="ArgumentOutOfRangeException">The significance is out of range.</exception>
    public bool IsDrift(double significance = DefaultSignificance) =>
        PValue <= Check.Share(significance, nameof(significance));

    /// <summary>
    /// The channels that have drifted, the strongest drift first: by divergence, or by the distance of the
    /// distributions if that says more.
    /// </summary>
    /// <inheritdoc cref="IsDrift"/>
    public IReadOnlyList<ChannelDrift> Drifted(double significance = DefaultSignificance)
    {
        Check.Share(significance, nameof(significance));
        return
        [
            .. Channels.TakeWhile(channel => channel.AdjustedPValue <= significance)
                .OrderByDescending(channel => channel.Strength),
        ];
    }

    /// <summary>The channels that have drifted, the strongest first, and then the others, the surest first.</summary>
    internal IReadOnlyList<ChannelDrift> Ordered(double significance)
    {
        IReadOnlyList<ChannelDrift> drifted = Drifted(significance);
        return [.. drifted, .. Channels.Skip(drifted.Count)];
    }

    /// <summary>The result in a sentence.</summary>
    internal string Verdict(double significance)
    {
        IReadOnlyList<ChannelDrift> drifted = Drifted(significance);
        string level = $"({Html.Number(100 * significance)} % level)";
        if (drifted.Count > 0)
        {
            return $"{Html.Count(drifted.Count)} of {Html.Count(Channels.Count, "channel")} "
                + $"{(drifted.Count == 1 ? "has" : "have")} drifted {level}"
                + (Channels.Count == 1
                    ? $": {DriftText.Change(drifted[0])}."
                    : $"; the strongest is {(drifted[0].Name is null ? "channel " : "")}{drifted[0].Label}: "
                        + $"{DriftText.Change(drifted[0])}.");
        }
        return (Channels.Count == 1 ? "The channel has not drifted" : "No channel has drifted")
            + $" {level}; the least corrected p-value is {DriftText.PValue(PValue)}.";
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
    /// <param name="histograms">
    /// Histograms of the same values on the grid of the state's (<see cref="BatchNormalizationState.GetHistograms"/>).
    /// Null to test neither shape nor missing values.
    /// </param>
    /// <exception cref="ArgumentException">
    /// A number of channels, names or values differs, or the state has no histograms of this grid.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="valuesPerRow"/> is not positive.</exception>
    public static DriftReport Compare(
        BatchNormalizationState state, BatchStatistics statistics, BatchStatistics? squaredDeviations = null,
        int valuesPerRow = 1, IReadOnlyList<string>? names = null, ChannelHistograms? histograms = null)
    {
        DriftReport report = Compare(
            state, statistics, squaredDeviations, histograms,
            histograms is null ? null : histograms.CountsOf(0)[ChannelHistograms.Missing] + histograms.FiniteCount(0),
            valuesPerRow, names, subject: null);
        if (histograms is null)
            return report;
        for (int c = 0; c < statistics.Channels; c++)
        {
            if (histograms.FiniteCount(c) != statistics.Count[c])
                throw new ArgumentException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"The histograms of channel {c} count {histograms.FiniteCount(c)} values, the statistics "
                        + $"{statistics.Count[c]}."), nameof(histograms));
        }
        return report;
    }

    /// <inheritdoc cref="ChannelComparison"/>
    internal static DriftReport Compare(
        BatchNormalizationState state, BatchStatistics statistics, BatchStatistics? squaredDeviations,
        ChannelHistograms? histograms, double? positions, int valuesPerRow, IReadOnlyList<string>? names,
        string? subject)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(statistics);
        Check.Positive(valuesPerRow, nameof(valuesPerRow));
        CheckLength(statistics.Channels, nameof(statistics));
        CheckLength(squaredDeviations?.Channels ?? state.Channels, nameof(squaredDeviations));
        CheckLength(names?.Count ?? state.Channels, nameof(names));
        if (histograms is not null && state.Histograms?.HasGridOf(histograms) != true)
            throw new ArgumentException(
                "The argument histograms has another grid than the state's histograms.", nameof(histograms));
        var comparison =
            new ChannelComparison(state, statistics, squaredDeviations, histograms, positions, valuesPerRow);
        return new DriftReport(comparison.Run(names))
        {
            HasTrainingCounts = state.Population is not null,
            Histograms = histograms is null ? null : (state.Histograms!, histograms.Copy()),
            Rows = (positions ?? statistics.Count.ToArray().Max()) / valuesPerRow,
            TrainingRows = comparison.TrainingPositions / valuesPerRow,
            Subject = subject,
        };

        void CheckLength(int length, string name)
        {
            if (length != state.Channels)
                throw new ArgumentException(
                    $"The argument {name} has {length} channels, the state has {state.Channels}.", name);
        }
    }

    /// <summary>The verdict and the table of at most 20 channels; of 3 if none has drifted.</summary>
    public override string ToString() => ToTable(ShownChannels);

    /// <summary>
    /// The verdict in a sentence and a table in plain text, with a line feed at the end of each line: those channels
    /// that have drifted come first, the strongest first. The columns are the mean and the standard deviation, now and
    /// in training; the standardized mean shift, the variance ratio, the symmetric Kullback–Leibler divergence, the
    /// distance of the shapes and the shares of missing values if they are known, and the corrected p-value.
    /// </summary>
    /// <param name="rows">
    /// How many channels to show at most, at least 1, and 3 at most if none has drifted. A last line counts the others.
    /// </param>
    /// <param name="significance">The probability of a false alarm, between 0 and 1. Default: 0.01.</param>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of range.</exception>
    public string ToTable(int rows, double significance = DefaultSignificance)
    {
        Check.Positive(rows, nameof(rows));
        Check.Share(significance, nameof(significance));
        return DriftText.Table(this, rows, significance);
    }

    /// <summary>
    /// The report as a page, with the verdict on top: one file that loads nothing and runs no script.
    /// </summary>
    /// <param name="title">The title of the page; null for one that names <see cref="Subject"/>. Default: null.</param>
    /// <param name="significance">The probability of a false alarm, between 0 and 1. Default: 0.01.</param>
    /// <exception cref="ArgumentOutOfRangeException">The significance is out of range.</exception>
    public string ToHtml(string? title = null, double significance = DefaultSignificance) =>
        ReportPage.Page(Page(title, significance));

    /// <summary>Writes the page of <see cref="ToHtml"/>, in UTF-8.</summary>
    /// <param name="path">The file. An existing file is replaced in one step.</param>
    /// <param name="title">The title of the page; null for one that names <see cref="Subject"/>. Default: null.</param>
    /// <param name="significance">The probability of a false alarm, between 0 and 1. Default: 0.01.</param>
    /// <exception cref="ArgumentException">The path is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The significance is out of range.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">You may not write the file.</exception>
    public void SaveHtml(string path, string? title = null, double significance = DefaultSignificance) =>
        ReportPage.Save(Page(title, significance), path);

    /// <summary>Writes the page of <see cref="ToHtml"/>, in UTF-8.</summary>
    /// <param name="stream">The page is written at its position; it is neither flushed nor closed.</param>
    /// <param name="title">The title of the page; null for one that names <see cref="Subject"/>. Default: null.</param>
    /// <param name="significance">The probability of a false alarm, between 0 and 1. Default: 0.01.</param>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The significance is out of range.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void SaveHtml(Stream stream, string? title = null, double significance = DefaultSignificance) =>
        ReportPage.Save(Page(title, significance), stream);

    string IReport.Title => Page(null, DefaultSignificance).Title;

    string IReport.Body() => Page(null, DefaultSignificance).Body();

    DriftPage Page(string? title, double significance) => new(
        this, Check.Share(significance, nameof(significance)),
        title ?? (Subject is null ? "Drift report" : $"Drift report: {Subject}"));
}
