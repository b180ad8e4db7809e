namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What a forward call leaves behind: the state after it, and the numbers that <see cref="BatchNormalization"/>'s
/// backward pass needs beside the input, which is not kept. Immutable.
/// </summary>
public sealed class ForwardPass
{
    internal ForwardPass(
        BatchNormalizationOptions options, BatchNormalizationState state, BatchNormalizationState nextState,
        ChannelLayout layout, bool[] mask, Normalization[] groups)
    {
        Options = options;
        State = state;
        NextState = nextState;
        Layout = layout;
        Mask = mask;
        Groups = groups;
    }

    /// <summary>The state after the call: the one before it, the same object, where no statistic moved.</summary>
    public BatchNormalizationState NextState { get; }

    /// <summary>Whether the output was normalized with the batch's own statistics.</summary>
    public bool UsedBatchStatistics => Array.Exists(Groups, group => group.Count.ContainsAnyExcept(0));

    internal BatchNormalizationOptions Options { get; }

    internal BatchNormalizationState State { get; }

    internal ChannelLayout Layout { get; }

    internal bool[] Mask { get; }

    internal Normalization[] Groups { get; }

    /// <summary>
    /// The mean that was taken off, one value a channel, in the input's unit. With
    /// <see cref="BatchNormalizationOptions.VirtualBatchSize"/>, that of one group of rows.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The group does not exist.</exception>
    public ReadOnlySpan<double> Mean(int group = 0) => Group(group).Mean;

    /// <summary>1/√(variance + ε), one value a channel; the same of a group.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The group does not exist.</exception>
    public ReadOnlySpan<double> InverseDeviation(int group = 0) => Group(group).InverseDeviation;

    Normalization Group(int group) =>
        (uint)group < (uint)Groups.Length
            ? Groups[group]
            : throw Check.OutOfRange(group, nameof(group), $"from 0 to {Groups.Length - 1}");
}
