using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

/// <summary>
/// Trains a network to tell classes apart, by softmax cross-entropy. The label is a key; the scores are probabilities.
/// </summary>
/// <seealso cref="BatchNormNetworkCatalog"/>
public sealed class BatchNormNetworkMulticlassTrainer : BatchNormNetworkTrainerBase<
    MulticlassPredictionTransformer<BatchNormNetworkMulticlassModelParameters>,
    BatchNormNetworkMulticlassModelParameters>
{
    readonly double[] classWeights;

    internal BatchNormNetworkMulticlassTrainer(IHostEnvironment env, Options options)
        : base(
            TrainerHost.Of<BatchNormNetworkMulticlassTrainer>(env, options), options,
            TrainerUtils.MakeU4ScalarColumn(options.LabelColumnName), Loss.SoftmaxCrossEntropy, options.ClassWeights) =>
        classWeights = [.. options.ClassWeights];

    /// <summary>The options of a <see cref="BatchNormNetworkMulticlassTrainer"/>.</summary>
    public sealed class Options : BatchNormNetworkTrainerOptions
    {
        /// <summary>
        /// A weight for the rows of each class, in the order of the keys; they multiply the rows' own. Default: none.
        /// </summary>
        public double[] ClassWeights { get; set; } = [];
    }

    /// <inheritdoc/>
    protected override PredictionKind PredictionKind => PredictionKind.MulticlassClassification;

    /// <inheritdoc/>
    protected override SchemaShape.Column[] GetOutputColumnsCore(SchemaShape inputSchema)
    {
        inputSchema.TryFindColumn(LabelColumn.Name, out SchemaShape.Column label);
        return
        [
            new SchemaShape.Column(
                DefaultColumnNames.Score, SchemaShape.Column.VectorKind.Vector, NumberDataViewType.Single, isKey: false,
                new SchemaShape(AnnotationUtils.AnnotationsForMulticlassScoreColumn(label))),
            new SchemaShape.Column(
                DefaultColumnNames.PredictedLabel, SchemaShape.Column.VectorKind.Scalar, NumberDataViewType.UInt32,
                isKey: true,
                new SchemaShape(label.Annotations.Where(column => column.Name == AnnotationUtils.Kinds.KeyValues)
                    .Concat(AnnotationUtils.GetTrainerOutputAnnotation()))),
        ];
    }

    /// <inheritdoc/>
    protected override MulticlassPredictionTransformer<BatchNormNetworkMulticlassModelParameters> MakeTransformer(
        BatchNormNetworkMulticlassModelParameters model, DataViewSchema trainSchema) =>
        new(Host, model, trainSchema, FeatureColumn.Name, LabelColumn.Name);

    private protected override int CheckLabel(RoleMappedData data)
    {
        data.CheckMulticlassLabel(out int classes);
        Host.CheckUserArg(
            classWeights.Length == 0 || classWeights.Length == classes, nameof(Options.ClassWeights),
            $"ClassWeights must be one for each of the label's {classes} classes, not {classWeights.Length}.");
        return classes;
    }

    private protected override BatchNormNetworkMulticlassModelParameters CreateModel(
        Network network, NetworkState state) =>
        new(Host, new SavedNetwork(network, state));
}
