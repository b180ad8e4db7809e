using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;
using Defaults = Microsoft.ML.Transforms.BatchNormalizationEstimator.Defaults;

namespace Microsoft.ML;

/// <summary>Batch normalization in <c>mlContext.Transforms</c>.</summary>
public static class BatchNormalizationCatalog
{
    /// <summary>
    /// Normalizes each channel of a column to mean β (0) and deviation γ (1), with the exact statistics of the data it
    /// is fitted to.
    /// </summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="outputColumnName">The name of the normalized column, of the input's type.</param>
    /// <param name="inputColumnName">
    /// The column to normalize: <see cref="float"/> or <see cref="double"/>, a scalar or a vector of known size. Null
    /// takes <paramref name="outputColumnName"/>.
    /// </param>
    /// <param name="momentum">
    /// The share of the old moving statistic that stays at each batch, from 0 to 1. It has no effect on the exact
    /// statistics, which this overload fits. It is for the exponential average of batches: take the overload of
    /// <see cref="BatchNormalizationEstimator.Options"/> with a layer whose
    /// <see cref="BatchNormalizationOptions.MovingStatistics"/> is <see cref="MovingStatistics.Exponential"/>, such as
    /// <c>Layer = BatchNormalizationOptions.Keras with { Momentum = 0.9 }</c>.
    /// </param>
    /// <param name="epsilon">ε, added to the variance; at least 0.</param>
    /// <param name="trainable">Whether fitting moves the statistics. False leaves mean 0 and variance 1.</param>
    /// <param name="axis">
    /// The channel axis of a vector with dimensions, with the batch as dimension 0: channels first is 1. Null takes the
    /// one that the dimensions tell (<see cref="BatchNormalizationEstimator"/>).
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">Momentum or ε is out of range.</exception>
    public static BatchNormalizationEstimator BatchNormalization(
        this TransformsCatalog catalog, string outputColumnName, string? inputColumnName = null,
        double momentum = Defaults.Momentum, double epsilon = Defaults.Epsilon, bool trainable = Defaults.Trainable,
        int? axis = null) =>
        catalog.BatchNormalization(
            [new InputOutputColumnPair(outputColumnName, inputColumnName)], momentum, epsilon, trainable, axis);

    /// <summary>Normalizes each channel of several columns, with the exact statistics of the data.</summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="columns">The pairs of output and input columns; at least one.</param>
    /// <param name="momentum">
    /// The share of the old moving statistic that stays at each batch, from 0 to 1. It has no effect on the exact
    /// statistics, which this overload fits; the overload of one column says what takes it.
    /// </param>
    /// <param name="epsilon">ε, added to the variance; at least 0.</param>
    /// <param name="trainable">Whether fitting moves the statistics. False leaves mean 0 and variance 1.</param>
    /// <param name="axis">
    /// The channel axis of a vector with dimensions, with the batch as dimension 0: channels first is 1. Null takes the
    /// one that the dimensions tell (<see cref="BatchNormalizationEstimator"/>).
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">Momentum or ε is out of range.</exception>
    public static BatchNormalizationEstimator BatchNormalization(
        this TransformsCatalog catalog, InputOutputColumnPair[] columns,
        double momentum = Defaults.Momentum, double epsilon = Defaults.Epsilon, bool trainable = Defaults.Trainable,
        int? axis = null) =>
        catalog.BatchNormalization(new BatchNormalizationEstimator.Options
        {
            Columns = columns,
            Axis = axis,
            Layer = BatchNormalizationEstimator.DefaultLayer with
            {
                Momentum = momentum,
                Epsilon = epsilon,
                Trainable = trainable,
            },
        });

    /// <summary>Normalizes columns as the options say.</summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="options">The columns, their layer, and how it is fitted.</param>
    /// <exception cref="ArgumentException">An option is out of range, or options contradict each other.</exception>
    public static BatchNormalizationEstimator BatchNormalization(
        this TransformsCatalog catalog, BatchNormalizationEstimator.Options options) =>
        new(CatalogUtils.GetEnvironment(catalog), options);

    /// <summary>Goes on from a fitted or loaded transformer, column by column, as it was fitted.</summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="pretrained">
    /// Where the columns, options and states come from, and the batch size, epochs, shuffle, seed, mask column and
    /// statistics down the chain.
    /// </param>
    /// <param name="trainable">
    /// True to fine-tune: fitting moves the statistics on. False to freeze: fitting reads no data, and the states stay
    /// bit for bit.
    /// </param>
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
    /// Where the states come from, by the name of the output column. A column that is frozen there stays frozen.
    /// </param>
    /// <param name="options">The columns, their layer, and how it is fitted.</param>
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

    /// <summary>Goes on from a known state, such as one read from safetensors.</summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="outputColumnName">The name of the normalized column, of the input's type.</param>
    /// <param name="pretrained">The state; its number of channels is that of the column.</param>
    /// <param name="trainable">Whether fitting moves the statistics on, or leaves the state bit for bit.</param>
    /// <param name="inputColumnName">The column to normalize. Null takes <paramref name="outputColumnName"/>.</param>
    /// <param name="layer">
    /// The layer's options. Null for Keras's with exponential averages, with or without γ and β as the state has them.
    /// </param>
    /// <param name="axis">
    /// The channel axis of a vector with dimensions, with the batch as dimension 0: channels first is 1. Null takes
    /// that of <paramref name="layer"/>, or the one that the dimensions tell.
    /// </param>
    /// <exception cref="ArgumentException">The state does not fit the options.</exception>
    public static BatchNormalizationEstimator BatchNormalization(
        this TransformsCatalog catalog, string outputColumnName, BatchNormalizationState pretrained, bool trainable,
        string? inputColumnName = null, BatchNormalizationOptions? layer = null, int? axis = null)
    {
        IHostEnvironment env = CatalogUtils.GetEnvironment(catalog);
        env.CheckNonEmpty(outputColumnName, nameof(outputColumnName));
        inputColumnName ??= outputColumnName;
        env.CheckNonEmpty(inputColumnName, nameof(inputColumnName));
        env.CheckValue(pretrained, nameof(pretrained));
        layer ??= BatchNormalizationOptions.Keras with
        {
            Scale = !pretrained.Gamma.IsEmpty,
            Center = !pretrained.Beta.IsEmpty,
        };
        layer = layer with { Trainable = trainable, Axis = axis ?? layer.Axis };
        BatchNormalizationEstimator.CheckState(env, layer, pretrained, nameof(pretrained));
        return new BatchNormalizationEstimator(
            env, FitSettings.Default,
            new BatchNormalizationEstimator.Layer(outputColumnName, inputColumnName, layer, pretrained));
    }
}
