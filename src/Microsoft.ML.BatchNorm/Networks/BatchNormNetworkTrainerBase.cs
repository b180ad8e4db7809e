using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.Training;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Trainers;

/// <summary>
/// Trains a network on a feature and a label column: reads the rows once, into memory or, where they do not fit, into a
/// temporary file (<see cref="BatchNormNetworkTrainerOptions.DataBytesInMemory"/>), then goes through them epoch by
/// epoch.
/// </summary>
/// <remarks>
/// The feature column is a vector of <see cref="float"/> of known size. Its dimensions are the shape of a row: a column
/// of dimensions <c>[C, H, W]</c> or <c>[1, C, H, W]</c> gives images, channels first. A network whose input has
/// dimensions takes a column of the same, or a plain vector of their size; a column of other dimensions is an error.
/// Rows without a label, with a weight that is not positive and finite, or with a feature that is not finite are
/// skipped, with a warning of how many; <see cref="BatchNormNetworkTrainerOptions.NonFinite"/> makes such a feature an
/// error. A prediction from features that are not finite is NaN where a batch normalization of the network has
/// <see cref="NonFinite.Throw"/>; other networks compute with them.
/// </remarks>
/// <typeparam name="TTransformer">The prediction transformer.</typeparam>
/// <typeparam name="TModel">The model in it.</typeparam>
public abstract class BatchNormNetworkTrainerBase<TTransformer, TModel> : TrainerEstimatorBase<TTransformer, TModel>
    where TTransformer : ISingleFeaturePredictionTransformer<TModel>
    where TModel : class
{
    readonly BatchNormNetworkTrainerOptions options;
    readonly TrainingOptions training;

    private protected BatchNormNetworkTrainerBase(
        IHost host, BatchNormNetworkTrainerOptions options, SchemaShape.Column label, Loss loss, double[] classWeights)
        : base(
            host, TrainerUtils.MakeR4VecFeature(options.FeatureColumnName), label,
            TrainerUtils.MakeR4ScalarWeightColumn(options.ExampleWeightColumnName))
    {
        training = TrainerOptionsCheck.Run(host, options, loss, classWeights);
        this.options = options.Copy();
    }

    /// <inheritdoc/>
    public override TrainerInfo Info { get; } =
        new(normalization: false, caching: false, supportValid: true, supportIncrementalTrain: true);

    /// <summary>Trains, and validates each epoch with rows of their own.</summary>
    /// <param name="trainData">The rows to train on.</param>
    /// <param name="validationData">The rows to validate with, in columns of the same names.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing, or of a type that cannot be used.</exception>
    /// <exception cref="OperationCanceledException">The context or the options' token was canceled.</exception>
    /// <exception cref="IOException">
    /// The rows do not fit in memory, and cannot be kept in a temporary file; or the checkpoint cannot be written.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// No row has a label and finite features, training diverged, or a GPU was asked for that cannot be had.
    /// </exception>
    public TTransformer Fit(IDataView trainData, IDataView validationData)
    {
        Host.CheckValue(validationData, nameof(validationData));
        return TrainTransformer(trainData, validationData);
    }

    /// <summary>
    /// Goes on from a trained model: its network with its switches, and its parameters. A layer that is frozen there
    /// stays frozen. Where the label asks for another number of outputs, and there is a plan in
    /// <see cref="BatchNormNetworkTrainerOptions.FineTune"/>, the network gets a new head.
    /// </summary>
    /// <param name="trainData">The rows to train on.</param>
    /// <param name="previous">
    /// A prediction transformer with a network, fitted or loaded, or a chain whose last transformer is one.
    /// </param>
    /// <exception cref="ArgumentException">There is no network in it, or one that does not fit.</exception>
    /// <inheritdoc cref="Fit(IDataView, IDataView)"/>
    public TTransformer Fit(IDataView trainData, ITransformer previous)
    {
        Host.CheckValue(previous, nameof(previous));
        INetworkModelParameters model = NetworkModels.Find(Host, previous, nameof(previous));
        return TrainTransformer(trainData, initPredictor: (IPredictor)model);
    }

    /// <inheritdoc/>
    protected override TModel TrainModelCore(TrainContext trainContext)
    {
        Host.CheckValue(trainContext, nameof(trainContext));
        RoleMappedData data = trainContext.TrainingSet;
        data.CheckFeatureFloatVector();
        int outputs = CheckLabel(data);
        TensorShape input = ColumnShape.OfRow(data.Schema.Feature!.Value.Type);
        RoleMappedData? validation = Validation(trainContext, input);

        using IChannel channel = Host.Start("Training");
        int seed = options.Seed ?? Host.Rand.Next();
        var choice = new NetworkChoice(Host, options, input, outputs);
        SavedNetwork start = choice.Choose(Previous(trainContext.InitialPredictor), seed);
        long memory = options.DataBytesInMemory ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2;
        using TrainingRows rows = Read(data, isValidation: false);
        memory = Math.Max(0, memory - rows.BytesInMemory);
        using TrainingRows? held = validation is null ? null : Read(validation, isValidation: true);
        RowSet kept = RowSet.Split(rows.Data, held is null ? options.ValidationSplit : 0, seed).Training;
        DataWarnings.Tell(
            channel, start.Network, rows.Data, givesLogits: PredictionKind != PredictionKind.Regression);
        TargetScale? scale = Cancellation.Run(
            Host, run => Scale(run, channel, start.Network, rows.Data, kept), options.CancellationToken);
        if (scale is { } first && choice.IsFresh(start.Network.Nodes[start.Network.HeadIndex]))
            start = start with { State = first.PutBack(start.Network, start.State) };
        TrainingOptions run = training with { Seed = seed, StandardizesTargets = scale is not null };
        TrainingResult result =
            new TrainingRun(Host, channel, options, run, scale).Train(start, rows.Data, held?.Data);
        return CreateModel(result.Network, result.State);

        TrainingRows Read(RoleMappedData from, bool isValidation) => Cancellation.Run(
            Host, run => TrainingRows.Read(run, channel, from, isValidation, options.NonFinite, memory),
            options.CancellationToken);
    }

    /// <summary>
    /// Checks the label column's values and options, and gives the number of outputs that it asks for.
    /// </summary>
    private protected abstract int CheckLabel(RoleMappedData data);

    private protected abstract TModel CreateModel(Network network, NetworkState state);

    /// <summary>What is taken out of the targets of the rows that are kept for training; null for nothing.</summary>
    private protected virtual TargetScale? Scale(
        IHost host, IChannel channel, Network network, TrainingData rows, IReadOnlyCollection<int> kept) => null;

    INetworkModelParameters? Previous(IPredictor? predictor) => predictor is null
        ? null
        : NetworkModels.Of(predictor)
            ?? throw Host.ExceptParam(nameof(predictor), "The model to go on from has no network.");

    RoleMappedData? Validation(TrainContext context, TensorShape input)
    {
        RoleMappedData? validation = context.ValidationSet;
        if (validation is null && options.ValidationData is { } view)
        {
            foreach (SchemaShape.Column column in (SchemaShape.Column[])[FeatureColumn, LabelColumn])
            {
                Host.CheckUserArg(
                    view.Schema.GetColumnOrNull(column.Name) is not null, nameof(options.ValidationData),
                    $"ValidationData has no column '{column.Name}'. Give rows that have been through the steps before " +
                    "the trainer, as the training data has.");
            }
            // Checks the columns as those of the training data.
            GetOutputSchema(SchemaShape.Create(view.Schema));
            validation = MakeRoles(view);
        }
        if (validation?.Schema.Feature is { } feature && !ColumnShape.FitsNetwork(ColumnShape.Of(feature.Type), input))
            throw Host.ExceptSchemaMismatch(
                "validationData", "feature", feature.Name, ColumnShape.Expected(feature.Type, input),
                feature.Type.ToString());
        return validation;
    }
}
