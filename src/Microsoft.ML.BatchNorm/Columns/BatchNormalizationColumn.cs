using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Transforms;

/// <summary>One column of a <see cref="BatchNormalizationTransformer"/>: its names and its layer.</summary>
public sealed class BatchNormalizationColumn
{
    internal BatchNormalizationColumn(
        string outputColumnName, string inputColumnName,
        BatchNormalizationOptions options, BatchNormalizationState state, FittedInput? input = null)
    {
        if (options.Axis is null or 0)
            throw new ArgumentException(
                "Axis of the options must be that of a row's channels; dimension 0 is the batch.", nameof(options));
        if (input is not null && !HasChannels(input.Shape, options.Axis.Value, state.Channels))
            throw new ArgumentException(
                $"Axis {options.Axis} of a row {input.Shape} has not the state's {state.Channels} channels.",
                nameof(input));
        Map = new AffineMap(options, state);
        (OutputColumnName, InputColumnName, Options, State) = (outputColumnName, inputColumnName, options, state);
        Input = input;
    }

    /// <summary>The name of the normalized column.</summary>
    public string OutputColumnName { get; }

    /// <summary>The name of the column that is normalized.</summary>
    public string InputColumnName { get; }

    /// <summary>The layer's options, with <see cref="Axis"/> as their axis.</summary>
    public BatchNormalizationOptions Options { get; }

    /// <summary>The layer's state.</summary>
    public BatchNormalizationState State { get; }

    /// <summary>
    /// The channel axis, with the batch as dimension 0: 1 is C of a column of dimensions <c>[C, H, W]</c>, 3 is C of
    /// <c>[H, W, C]</c>, 2 is C of <c>[1, C, H, W]</c>. A negative axis counts from the end.
    /// </summary>
    public int Axis => Options.Axis!.Value;

    /// <summary>The column that the layer was fitted to, or null if it is not known.</summary>
    internal FittedInput? Input { get; }

    /// <summary>Inference folded into one affine map per channel.</summary>
    internal AffineMap Map { get; }

    internal BatchNormalizationColumn WithTrainable(bool trainable) =>
        new(OutputColumnName, InputColumnName, Options with { Trainable = trainable }, State, Input);

    internal BatchNormalizationColumn WithState(BatchNormalizationState state) =>
        new(OutputColumnName, InputColumnName, Options, state, Input);

    /// <summary>The dimension that an axis is in a row of that rank, which has no batch dimension.</summary>
    internal static int DimensionOf(int axis, int rank) => ChannelLayout.AxisIn(axis, rank + 1) - 1;

    static bool HasChannels(TensorShape row, int axis, int channels)
    {
        int dimension = DimensionOf(axis, row.Rank);
        return dimension >= 0 && dimension < row.Rank && row[dimension] == channels;
    }
}
