using System.Collections.ObjectModel;

namespace Microsoft.ML.BatchNorm;

/// <summary>How far new data is from what the statistics of a layer hold, channel by channel; immutable.</summary>
/// <remarks>
/// <para>
/// Each channel is tested twice, for another mean and for another variance (<see cref="ChannelDrift"/> has the
/// formulas). The p-values account for the number of new values, for that of the training values where the state has
/// it, for distributions that are not normal (many zeros, rare values, heavy tails, constants), and for the number of
/// tests.
/// </para>
/// <para>
/// The hypothesis of each test is that both sides are independent draws from one distribution. Rows that depend on each
/// other, as consecutive ones of a time series do, count for more than they are worth: take rows from all of it. The
/// values of one row may depend on each other as they like. A p-value says whether a channel has moved, not whether it
/// matters: with very many rows everything has, and <see cref="ChannelDrift.MeanShift"/>,
/// <see cref="ChannelDrift.VarianceRatio"/> and <see cref="ChannelDrift.Divergence"/> say by how much. A channel that
/// now is constant near its old mean is not flagged, as rare values may be absent by chance; its ratio is 0.
/// </para>
/// </remarks>
public sealed partial class DriftReport
{
    DriftReport(ChannelDrift[] channels, bool hasTrainingCounts) =>
        (Channels, HasTrainingCounts) = (new ReadOnlyCollection<ChannelDrift>(channels), hasTrainingCounts);

    /// <summary>
    /// All channels, the worst first: by <see cref="ChannelDrift.AdjustedPValue"/>, then the smaller uncorrected
    /// p-value, then <see cref="ChannelDrift.Divergence"/>, then the number of the channel.
    /// </summary>
    public IReadOnlyList<ChannelDrift> Channels { get; }

    /// <summary>
    /// Whether the state knows the number of values behind its statistics, as
    /// <see cref="MovingStatistics.Population"/> does. Averages and pretrained statistics do not: they are then taken
    /// as exact, and p-values come out too small by the error that they have.
    /// </summary>
    public bool HasTrainingCounts { get; }

    /// <summary>The p-value of no channel having drifted: the smallest corrected one.</summary>
    public double PValue => Channels[0].AdjustedPValue;

    /// <summary>Whether any channel has drifted.</summary>
    /// <param name="significance">The probability of a false alarm, between 0 and 1. Default: 0.01.</param>
    /// <exception cref="ArgumentOutOfRangeException">The significance is out of range.</exception>
    public bool IsDrift(double significance = 0.01) => PValue <= Check.Share(significance, nameof(significance));

    /// <summary>The channels that have drifted, the worst first.</summary>
    /// <inheritdoc cref="IsDrift"/>
    public IReadOnlyList<ChannelDrift> Drifted(double significance = 0.01)
    {
        Check.Share(significance, nameof(significance));
        return [.. Channels.TakeWhile(channel => channel.AdjustedPValue <= significance)];
    }

    /// <summary>Compares new data with the statistics of a state.</summary>
    /// <param name="state">The training side: its exact statistics, or else its moving ones.</param>
    /// <param name="statistics">The new side, of as many channels; channels without values are not tested.</param>
    /// <param name="squaredDeviations">
    /// The statistics of the squares (x − <see cref="BatchNormalizationState.MovingMean"/>)² of the same values, which
    /// tell the kurtosis (<see cref="DriftStatistics"/> forms both). Null to test the means alone.
    /// </param>
    /// <param name="valuesPerRow">
    /// How many values of a channel one row has, on both sides: 1 for features, height × width for images. The values
    /// of a row depend on each other, and in the tests count as one. Default: 1.
    /// </param>
    /// <param name="names">A name a channel, or null.</param>
    /// <exception cref="ArgumentException">A number of channels or names differs.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is not at least one value in a row.</exception>
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
}
