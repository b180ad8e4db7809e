using System.Globalization;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Checks one pass over a view, by one cursor or a set of cursors: samples the rows, and compares the sample with the
/// statistics when the last cursor has come to its end. A pass that is broken off is not checked, since its rows are not
/// a fair sample.
/// </summary>
/// <param name="host">Warns.</param>
/// <param name="schedule">Keeps the view from warning twice.</param>
/// <param name="cursors">The number of cursors that share the rows.</param>
/// <param name="rowCount">The number of rows that they share, or null if it is not known.</param>
/// <param name="mask">The column that hides rows, or null.</param>
sealed class DriftCheck(
    IHost host, DriftCheck.Schedule schedule, int cursors, long? rowCount, DataViewSchema.Column? mask)
{
    /// <summary>The probability that a pass over rows like those in training gives a warning.</summary>
    const double Significance = 0.001;

    readonly Dictionary<BatchNormalizationColumn, List<RowSample>> taken = [];
    readonly long? rowsPerCursor = rowCount / cursors;
    int completed;
    long rows;

    /// <summary>Begins to sample one column of a cursor.</summary>
    RowSample Sample(
        DataViewRow row, DataViewSchema.Column input, BatchNormalizationColumn column, ChannelLayout layout) =>
        RowSample.Of(
            input, column, layout, RowSample.FirstStride(rowsPerCursor, layout.Count),
            mask is { } counts ? row.GetGetter<bool>(counts) : null);

    /// <summary>Takes the samples of one cursor. If it is the last one, compares and warns.</summary>
    void Complete(IEnumerable<RowSample> samples)
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
        schedule.Checked(rows / taken.Count);
        string[] messages =
        [
            .. taken.Select(pair => (pair.Key, Report: Report(pair.Key.State, pair.Value)))
                .Where(pair => pair.Report?.IsDrift(Significance / taken.Count) == true)
                .Select(pair => Message(pair.Key, pair.Report!)),
        ];
        foreach (RowSample sample in taken.Values.SelectMany(ofColumn => ofColumn))
            sample.Release();
        if (messages.Length == 0 || !schedule.IsFirstWarning())
            return;
        using IChannel channel = host.Start("Drift");
        foreach (string message in messages)
            channel.Warning(message);
    }

    /// <summary>Null if there is no drift. A quick check finds that out most of the time.</summary>
    static DriftReport? Report(BatchNormalizationState state, List<RowSample> samples)
    {
        if (!Sum(DriftStatistics.ForQuickCheck(state), samples).MayDrift(Significance))
            return null;
        DriftStatistics statistics = Sum(DriftStatistics.OfMoments(state), samples);
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
            $"{report.Channels.Max(channel => channel.Count):0} values per channel. The worst is {name}: {shift} " +
            $"(p-value {DriftText.PValue(worst.AdjustedPValue)}). CompareStatistics tells more, and FineTune moves the statistics on.");
    }

    /// <summary>Which passes over a view are checked, and whether it has warned. For any thread.</summary>
    public sealed class Schedule
    {
        /// <summary>
        /// The rows that go by until another pass is checked: comparing a sample takes less time than normalizing a
        /// twentieth of them. Each pass over a longer view is checked.
        /// </summary>
        const long RowsPerCheck = 1 << 16;

        int warned;
        long passesToSkip;

        /// <summary>Whether to check the pass that begins now. The first pass over a view is checked.</summary>
        public bool IsDue() => Volatile.Read(ref warned) == 0 && Interlocked.Decrement(ref passesToSkip) < 0;

        /// <summary>Tells that a pass has been checked.</summary>
        /// <param name="rows">About how many rows it had; above 0.</param>
        public void Checked(long rows) => Volatile.Write(ref passesToSkip, RowsPerCheck / rows);

        /// <summary>True for the first caller only.</summary>
        public bool IsFirstWarning() => Interlocked.Exchange(ref warned, 1) == 0;
    }

    /// <summary>The samples of one cursor.</summary>
    public sealed class CursorSamples(DriftCheck check, DataViewRowCursor cursor)
    {
        readonly List<RowSample> samples = [];

        /// <summary>Begins to sample a column.</summary>
        public RowSample Add(
            DataViewRow row, DataViewSchema.Column input, BatchNormalizationColumn column, ChannelLayout layout)
        {
            RowSample sample = check.Sample(row, input, column, layout);
            samples.Add(sample);
            return sample;
        }

        /// <summary>Hands the samples to the check if the cursor has come to its end. Otherwise it was broken off.</summary>
        public void Complete()
        {
            if (cursor.Position < 0)
                check.Complete(samples);
            else
                samples.ForEach(sample => sample.Release());
        }
    }
}
