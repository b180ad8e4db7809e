using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Transforms;

/// <summary>One column of a <see cref="BatchNormalizationTransformer"/>: where it comes from, and its layer.</summary>
public sealed class BatchNormalizationColumn
{
    internal BatchNormalizationColumn(
        string outputColumnName, string inputColumnName,
        BatchNormalizationOptions options, BatchNormalizationState state)
    {
        if (options.Axis == 0)
            throw new ArgumentException(
                "Axis 0 of the options is the batch's, which a row does not have; the row's own dimensions begin at 1.",
                nameof(options));
        Map = new AffineMap(options, state);
        (OutputColumnName, InputColumnName, Options, State) = (outputColumnName, inputColumnName, options, state);
    }

    /// <summary>The name of the normalized column.</summary>
    public string OutputColumnName { get; }

    /// <summary>The name of the column that is normalized.</summary>
    public string InputColumnName { get; }

    /// <summary>The layer's options. Their axis counts the batch as the first, unlike <see cref="Axis"/>.</summary>
    public BatchNormalizationOptions Options { get; }

    /// <summary>The layer's state.</summary>
    public BatchNormalizationState State { get; }

    /// <summary>
    /// The channel axis among the dimensions of a row, negative from the end: 0 is C of a column of dimensions
    /// <c>[C, H, W]</c>, −1 is C of <c>[H, W, C]</c>. A scalar is one channel.
    /// </summary>
    public int Axis => Options.Axis > 0 ? Options.Axis - 1 : Options.Axis;

    /// <summary>Inference folded to one affine map a channel.</summary>
    internal AffineMap Map { get; }

    internal BatchNormalizationColumn WithTrainable(bool trainable) =>
        new(OutputColumnName, InputColumnName, Options with { Trainable = trainable }, State);
}
