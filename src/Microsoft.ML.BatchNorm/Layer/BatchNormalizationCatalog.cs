using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML;

/// <summary>Batch normalization in <c>mlContext.Transforms</c>.</summary>
public static class BatchNormalizationCatalog
{
    /// <summary>
    /// Normalizes each channel of a column to mean β (0) and deviation γ (1), with the exact statistics of the data that
    /// it is fitted to. A channel whose deviation is below a millionth of its mean counts as constant and becomes β.
    /// </summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="outputColumnName">The name of the normalized column, of the input's type.</param>
    /// <param name="inputColumnName">
    /// The column to normalize: <see cref="float"/> or <see cref="double"/>, a scalar or a vector of known size. Null
    /// takes <paramref name="outputColumnName"/>.
    /// </param>
    /// <param name="momentum">
    /// Null, the default, takes the exact statistics of all rows. A value takes the moving average of batches instead,
    /// as Keras and PyTorch keep it in training: the value is the share of the old statistic that stays at each batch,
    /// from 0 to 1, as in Keras (1 − PyTorch's momentum).
    /// </param>
    /// <param name="epsilon">
    /// ε, which is added to the variance, in the square of the column's unit; at least 0. Null takes 0 with exact
    /// statistics, and Keras's 1e-3 with an average.
    /// </param>
    /// <param name="trainable">Whether fitting moves the statistics. False leaves mean 0 and variance 1.</param>
    /// <param name="axis">
    /// The channel axis of a vector with dimensions, with the batch as dimension 0: channels first is 1. Null takes the
    /// one that the dimensions suggest (<see cref="BatchNormalizationEstimator"/>).
    /// </param>
    /// <example>
    /// <code>
    /// var pipeline = mlContext.Transforms.BatchNormalization("Features", "Pixels")
    ///     .Append(mlContext.MulticlassClassification.Trainers.LbfgsMaximumEntropy());
    /// var model = pipeline.Fit(rows);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentOutOfRangeException">Momentum or ε is out of range.</exception>
    public static BatchNormalizationEstimator BatchNormalization(
        this TransformsCatalog catalog, string outputColumnName, string? inputColumnName = null,
        double? momentum = null, double? epsilon = null, bool trainable = true, int? axis = null) =>
        catalog.BatchNormalization(
            [new InputOutputColumnPair(outputColumnName, inputColumnName)], momentum, epsilon, trainable, axis);

    /// <summary>
    /// Normalizes each channel of several columns, with the exact statistics of the data it is fitted to.
    /// </summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="columns">The pairs of output and input columns; at least one.</param>
    /// <param name="momentum">
    /// Null for exact statistics; a value for the average of batches, as in the overload for one column.
    /// </param>
    /// <param name="epsilon">ε, as in the overload for one column.</param>
    /// <param name="trainable">Whether fitting moves the statistics. False leaves mean 0 and variance 1.</param>
    /// <param name="axis">
    /// The channel axis of a vector with dimensions, with the batch as dimension 0: channels first is 1. Null takes the
    /// one that the dimensions suggest (<see cref="BatchNormalizationEstimator"/>).
    /// </param>
    /// <example>
    /// <code>
    /// var pipeline = mlContext.Transforms.BatchNormalization(
    ///     [new InputOutputColumnPair("Features", "Pixels"), new InputOutputColumnPair("Value")]);
    /// IDataView normalized = pipeline.Fit(rows).Transform(rows);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentOutOfRangeException">Momentum or ε is out of range.</exception>
    public static BatchNormalizationEstimator BatchNormalization(
        this TransformsCatalog catalog, InputOutputColumnPair[] columns,
        double? momentum = null, double? epsilon = null, bool trainable = true, int? axis = null) =>
        catalog.BatchNormalization(new BatchNormalizationEstimator.Options
        {
            Columns = columns,
            Axis = axis,
            Layer = new BatchNormalizationOptions { Momentum = momentum, Epsilon = epsilon, Trainable = trainable },
        });

    /// <summary>Normalizes columns as the options say.</summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="options">The columns, their layer, and how it is fitted. The estimator keeps a copy.</param>
    /// <example>
    /// <code>
    /// // The average of batches, as Keras keeps it, instead of exact statistics.
    /// var pipeline = mlContext.Transforms.BatchNormalization(new BatchNormalizationEstimator.Options
    /// {
    ///     Columns = [new InputOutputColumnPair("Features", "Pixels")],
    ///     Layer = BatchNormalizationOptions.Keras with { Momentum = 0.9 },
    ///     BatchSize = 32,
    ///     Epochs = 5,
    /// });
    /// IDataView normalized = pipeline.Fit(rows).Transform(rows);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">An option is out of range, or options contradict each other.</exception>
    public static BatchNormalizationEstimator BatchNormalization(
        this TransformsCatalog catalog, BatchNormalizationEstimator.Options options) =>
        new(CatalogUtils.GetEnvironment(catalog), options);

    /// <summary>Goes on from a fitted or loaded transformer, column by column, as it was fitted.</summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="pretrained">
    /// The columns, options and states come from it, and the batch size, epochs, shuffle, seed, mask column and
    /// downstream statistics.
    /// </param>
    /// <param name="trainable">
    /// True to fine-tune: fitting moves the statistics. False to freeze: fitting reads no data, and the states stay bit
    /// for bit.
    /// </param>
    /// <example>
    /// <code>
    /// BatchNormalizationTransformer layer = mlContext.Transforms.BatchNormalization("Features", "Pixels").Fit(rows);
    /// // The layer stays as it is, and the trainer behind it is trained on the new rows.
    /// var pipeline = mlContext.Transforms.BatchNormalization(layer, trainable: false)
    ///     .Append(mlContext.MulticlassClassification.Trainers.LbfgsMaximumEntropy());
    /// var model = pipeline.Fit(newRows);
    /// </code>
    /// </example>
    public static BatchNormalizationEstimator BatchNormalization(
        this TransformsCatalog catalog, BatchNormalizationTransformer pretrained, bool trainable)
    {
        IHostEnvironment env = CatalogUtils.GetEnvironment(catalog);
        env.CheckValue(pretrained, nameof(pretrained));
        return new BatchNormalizationEstimator(
            env, trainable ? pretrained.Unfreeze() : pretrained.Freeze(), CancellationToken.None);
    }

    /// <summary>Goes on from a fitted or loaded transformer, with other settings.</summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="pretrained">
    /// The states come from it, by the name of the output column. A column that is frozen there stays frozen.
    /// </param>
    /// <param name="options">The columns, their layer, and how it is fitted.</param>
    /// <example>
    /// <code>
    /// BatchNormalizationTransformer layer = mlContext.Transforms.BatchNormalization("Features", "Pixels").Fit(rows);
    /// // With each batch of 32 new rows, a tenth of the old statistics fades.
    /// BatchNormalizationTransformer tuned = mlContext.Transforms.BatchNormalization(
    ///     layer,
    ///     new BatchNormalizationEstimator.Options
    ///     {
    ///         Columns = [new InputOutputColumnPair("Features", "Pixels")],
    ///         Layer = BatchNormalizationOptions.Keras with { Momentum = 0.9 },
    ///         BatchSize = 32,
    ///     }).Fit(newRows);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">
    /// An option is out of range, options contradict each other, the transformer lacks one of the output columns, or
    /// its state does not fit the options.
    /// </exception>
    public static BatchNormalizationEstimator BatchNormalization(
        this TransformsCatalog catalog, BatchNormalizationTransformer pretrained,
        BatchNormalizationEstimator.Options options)
    {
        IHostEnvironment env = CatalogUtils.GetEnvironment(catalog);
        env.CheckValue(pretrained, nameof(pretrained));
        return new BatchNormalizationEstimator(env, pretrained, options);
    }

    /// <summary>Goes on from a known layer, such as one read from safetensors, with its own options.</summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="outputColumnName">The name of the normalized column, of the input's type.</param>
    /// <param name="pretrained">
    /// The layer, of <see cref="BatchNormalizationState.LoadSafetensors"/> or
    /// <see cref="BatchNormalizationState.Load"/>. It must have as many channels as the column. For a state from
    /// elsewhere, give the options of the network that it is from:
    /// <c>new SavedBatchNormalization(BatchNormalizationOptions.PyTorch, state)</c>. They must set ε, which a state does
    /// not hold.
    /// </param>
    /// <param name="trainable">Whether fitting moves the statistics or leaves the state bit for bit.</param>
    /// <param name="inputColumnName">The column to normalize. Null takes <paramref name="outputColumnName"/>.</param>
    /// <param name="axis">
    /// The channel axis of a vector with dimensions, with the batch as dimension 0: channels first is 1. Null takes
    /// that of the layer, or else the one that the dimensions suggest.
    /// </param>
    /// <example>
    /// <code>
    /// // The statistics of another program; a file has them, too: BatchNormalizationState.LoadSafetensors.
    /// var state = new BatchNormalizationState(movingMean: new double[64], movingVariance: [.. Enumerable.Repeat(36.0, 64)]);
    /// var options = BatchNormalizationOptions.PyTorch with { Center = false, Scale = false };
    /// var pipeline = mlContext.Transforms.BatchNormalization(
    ///     "Features", new SavedBatchNormalization(options, state), trainable: false, inputColumnName: "Pixels");
    /// IDataView normalized = pipeline.Fit(rows).Transform(rows);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">The state does not fit the options, or they do not set ε.</exception>
    public static BatchNormalizationEstimator BatchNormalization(
        this TransformsCatalog catalog, string outputColumnName, SavedBatchNormalization pretrained, bool trainable,
        string? inputColumnName = null, int? axis = null)
    {
        IHostEnvironment env = CatalogUtils.GetEnvironment(catalog);
        env.CheckNonEmpty(outputColumnName, nameof(outputColumnName));
        inputColumnName ??= outputColumnName;
        env.CheckNonEmpty(inputColumnName, nameof(inputColumnName));
        env.CheckValue(pretrained, nameof(pretrained));
        (BatchNormalizationOptions layer, BatchNormalizationState state) = pretrained;
        BatchNormalizationEstimator.CheckState(env, layer, state, nameof(pretrained));
        env.CheckUserArg(
            layer.Epsilon is not null, nameof(pretrained),
            "The options must say Epsilon, which a state does not hold. Give those of the network that the state is " +
            "from, such as BatchNormalizationOptions.PyTorch (1e-5) or BatchNormalizationOptions.Keras (1e-3).");
        layer = state.GetPopulation() is null
            ? layer.Or(BatchNormalizationOptions.Keras)
            : BatchNormalizationEstimator.Filled(layer);
        layer = layer with { Trainable = trainable, Axis = axis ?? layer.Axis };
        return new BatchNormalizationEstimator(
            env, new BatchNormalizationEstimator.Options(),
            [
                new ColumnSpec(
                    outputColumnName, inputColumnName, layer, BatchNormalizationEstimator.ForOptions(state, layer)),
            ]);
    }
}
