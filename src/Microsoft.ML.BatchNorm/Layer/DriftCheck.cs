using System.Globalization;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Checks one pass over a view, by one cursor or by a set of them: samples its rows, and at the end of the last cursor
/// compares them with the statistics. A pass that is broken off is not checked, as its rows are no fair sample.
/// </summary>
/// <param name="host">Who warns.</param>
/// <param name="warning">What keeps a view from warning twice.</param>
/// <param name="cursors">The number of cursors that share the rows.</param>
/// <param name="rowCount">The number of rows that they share, where it is known.</param>
/// <param name="mask">The column that hides rows, or null.</param>
sealed class DriftCheck(
    IHost host, DriftWarning warning, int cursors, long? rowCount, DataViewSchema.Column? mask)
{
    /// <summary>The probability that a pass over rows like those in training warns.</summary>
    const double Significance = 0.001;

    readonly Dictionary<BatchNormalizationColumn, List<RowSample>> taken = [];
    readonly long? rowsPerCursor = rowCount / cursors;
    int completed;
    long rows;

    /// <summary>Begins to sample one column of a cursor.</summary>
    public RowSample Sample(
        DataViewRow row, DataViewSchema.Column input, BatchNormalizationColumn column, ChannelLayout layout) =>
        RowSample.Of(
            input, column, layout, RowSample.FirstStride(rowsPerCursor, layout.Count),
            mask is { } counts ? row.GetGetter<bool>(counts) : null);

    /// <summary>Takes what one cursor has sampled, and warns where it is the last.</summary>
    public void Complete(IEnumerable<RowSample> samples)
    {
        lock (taken)
        {
            foreach (RowSample sample in samples.Where(sample => sample.Rows > 0))
            {
                if (!taken.TryGetValue(sample.Column, out List<RowSample>? ofColumn))
                    taken[sample.Column] = ofColumn = [];
                ofColumn.Add(sample);
                rows += sample.RowsSeen;
            }
            if (++completed < cursors)
                return;
        }
        if (rows == 0)
            return;
        warning.Checked(rows / taken.Count);
        string[] messages =
        [
            .. taken.Select(pair => (pair.Key, Report: Report(pair.Key.State, pair.Value)))
                .Where(pair => pair.Report?.IsDrift(Significance / taken.Count) == true)
                .Select(pair => Message(pair.Key, pair.Report!)),
        ];
        foreach (RowSample sample in taken.Values.SelectMany(ofColumn => ofColumn))
            sample.Release();
        if (messages.Length == 0 || !warning.IsFirst())
            return;
        using IChannel channel = host.Start("Drift");
        foreach (string message in messages)
            channel.Warning(message);
    }

    /// <summary>Null where no drift can be found; most often that takes few operations.</summary>
    static DriftReport? Report(BatchNormalizationState state, List<RowSample> samples)
    {
        if (!Sum(DriftStatistics.ForQuickCheck(state), samples).MayDrift(Significance))
            return null;
        DriftStatistics statistics = Sum(new DriftStatistics(state), samples);
        return statistics.MayDrift(Significance) ? statistics.Compare(samples[0].Names) : null;
    }

    static DriftStatistics Sum(DriftStatistics statistics, List<RowSample> samples)
    {
        foreach (RowSample sample in samples)
            sample.AddTo(statistics);
        return statistics;
    }

    static string Message(BatchNormalizationColumn column, DriftReport report)
    {
        ChannelDrift worst = report.Channels[0];
        string name = worst.Name is null ? $"channel {worst.Channel}" : $"channel {worst.Channel} ('{worst.Name}')";
        string shift = double.IsFinite(worst.MeanShift)
            ? $"its mean has moved by {worst.MeanShift.ToString("G3", CultureInfo.InvariantCulture)} deviations"
            : "it was constant, and has another mean";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"Column '{column.InputColumnName}' has drifted from the statistics that normalize it: " +
            $"{report.Drifted(Significance).Count} of {report.Channels.Count} channels, by a sample of " +
            $"{report.Channels.Max(channel => channel.Count):0} values a channel. The worst is {name}: {shift} " +
            $"(p = {worst.AdjustedPValue:G2}). CompareStatistics tells more, and FineTune moves the statistics on.");
    }
}
