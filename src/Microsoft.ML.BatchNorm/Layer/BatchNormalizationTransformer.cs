using System.Diagnostics.Contracts;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Normalizes columns with the statistics that it holds: each channel <c>x</c> becomes
/// <c>γ (x − movingMean)/√(movingVariance + ε) + β</c>.
/// </summary>
/// <remarks>
/// <para>
/// A column is <see cref="float"/> or <see cref="double"/>, a scalar (one channel) or a vector of known size, sparse or
/// dense. Each slot of a plain vector is a channel. A vector with dimensions, <c>[C, H, W]</c> or <c>[H, W, C]</c>, is
/// normalized over its channel axis, which must have the size that the layer knows. As many values as the layer was
/// fitted to in other dimensions are an error, but for a plain vector, which is taken in the layer's own.
/// </para>
/// <para>
/// The output column has the input's type and dimensions, is dense, carries the input's slot names, and is marked as
/// normalized. Immutable, and safe from any number of threads.
/// </para>
/// <para>
/// Exported to ONNX as the operator <c>BatchNormalization</c>, in the column's own type, with opset 9 to 12. Where the
/// layer ignores inputs that are not finite, or has a mask column, they pass through the graph unchanged. Otherwise a
/// graph throws nothing: a NaN comes out as a NaN.
/// </para>
/// </remarks>
public sealed partial class BatchNormalizationTransformer : OneToOneTransformerBase
{
    readonly BatchNormalizationColumn[] columns;

    internal BatchNormalizationTransformer(IHostEnvironment env, params BatchNormalizationColumn[] columns)
        : this(env, FitSettings.Default, columns)
    {
    }

    /// <param name="env">The environment.</param>
    /// <param name="settings">How it was fitted, and is fitted on.</param>
    /// <param name="columns">The columns.</param>
    internal BatchNormalizationTransformer(
        IHostEnvironment env, FitSettings settings, BatchNormalizationColumn[] columns)
        : base(
            Contracts.CheckRef(env, nameof(env)).Register(nameof(BatchNormalizationTransformer)),
            Array.ConvertAll(columns, column => (column.OutputColumnName, column.InputColumnName)))
    {
        Host.CheckNonEmpty(columns, nameof(columns));
        Settings = settings;
        this.columns = [.. columns];
        Columns = Array.AsReadOnly(this.columns);
    }

    /// <summary>The columns, in the order in which they were given.</summary>
    public IReadOnlyList<BatchNormalizationColumn> Columns { get; }

    internal FitSettings Settings { get; }

    /// <summary>
    /// The share of the moving statistics, from 0 to 1, that is still the initializer's, in the column where it is
    /// greatest. Over 0.05, the output is visibly biased towards the initializer.
    /// </summary>
    public double InitialWeight => columns.Max(column => column.State.InitialWeight);

    /// <summary>The state of the layer behind an output column.</summary>
    /// <param name="outputColumnName">The name of one of the output columns.</param>
    /// <exception cref="ArgumentOutOfRangeException">This transformer makes no such column.</exception>
    public BatchNormalizationState GetState(string outputColumnName) => GetColumn(outputColumnName).State;

    /// <summary>
    /// The same transformer with layers frozen: fitting that goes on from it leaves γ, β and the moving statistics as
    /// they are, until they are unfrozen.
    /// </summary>
    /// <param name="outputColumnNames">The output columns to freeze; none for all.</param>
    /// <exception cref="ArgumentOutOfRangeException">This transformer makes no such column.</exception>
    [Pure]
    public BatchNormalizationTransformer Freeze(params string[] outputColumnNames) =>
        WithTrainable(false, outputColumnNames);

    /// <summary>
    /// The same transformer with layers no longer frozen: fitting that goes on from it moves their statistics.
    /// </summary>
    /// <param name="outputColumnNames">The output columns to unfreeze; none for all.</param>
    /// <exception cref="ArgumentOutOfRangeException">This transformer makes no such column.</exception>
    [Pure]
    public BatchNormalizationTransformer Unfreeze(params string[] outputColumnNames) =>
        WithTrainable(true, outputColumnNames);

    /// <summary>
    /// Fits on from this transformer: its statistics, moved on by the data. A layer that is frozen stays bit for bit,
    /// with a warning, and where all are, the data is not read.
    /// </summary>
    /// <remarks>
    /// The batch size, epochs, shuffle, seed, mask column and drift check are those that the estimator was told, and
    /// they are stored with the model: a loaded transformer goes on to the same bits. The number of threads and the
    /// engine are of this process, and a loaded transformer takes the defaults. For other settings, hand this
    /// transformer to
    /// <c>mlContext.Transforms.BatchNormalization(pretrained, options)</c>.
    /// </remarks>
    /// <inheritdoc cref="BatchNormalizationEstimator.Fit(IDataView)"/>
    /// <param name="input">
    /// The rows that go into this transformer. What comes out of it, in a column that takes the input's place, is an
    /// error.
    /// </param>
    /// <param name="cancellationToken">Cancels within a batch.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A column is missing, is of another type or size, or is marked as normalized where the one that the layer was
    /// fitted to was not.
    /// </exception>
    /// <exception cref="OperationCanceledException">
    /// The context or the token was canceled; nothing is left behind.
    /// </exception>
    [Pure]
    public BatchNormalizationTransformer FineTune(IDataView input, CancellationToken cancellationToken = default)
    {
        var estimator = new BatchNormalizationEstimator(Host, this, cancellationToken);
        FrozenColumns.Warn(Host, columns.Where(column => !column.Options.MovesStatistics(training: true)));
        return estimator.Fit(input);
    }

    internal BatchNormalizationColumn GetColumn(string outputColumnName) =>
        columns.FirstOrDefault(column => column.OutputColumnName == outputColumnName)
        ?? throw Host.ExceptSchemaMismatch(nameof(outputColumnName), "output", outputColumnName);

    BatchNormalizationTransformer WithTrainable(bool trainable, string[] names)
    {
        Host.CheckValue(names, nameof(names));
        BatchNormalizationColumn[] named = names.Length == 0 ? columns : Array.ConvertAll(names, GetColumn);
        return new BatchNormalizationTransformer(Host, Settings, Array.ConvertAll(
            columns, column => named.Contains(column) ? column.WithTrainable(trainable) : column));
    }
}
