using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Trainers;

/// <summary>
/// Trains a network on a feature and a label column. It reads the rows once, into memory or, if they do not fit, into a
/// temporary file (<see cref="BatchNormNetworkTrainerOptions.DataBytesInMemory"/>), and then goes through them epoch by
/// epoch.
/// </summary>
/// <remarks>
/// <para>
/// The feature column is a vector of <see cref="float"/> of known size. Its dimensions are the shape of a row: a column
/// with dimensions <c>[C, H, W]</c> or <c>[1, C, H, W]</c> has images, channels first. A network whose input has
/// dimensions takes a column with the same dimensions, or a plain vector of the same size; a column with other
/// dimensions is an error.
/// </para>
/// <para>
/// Rows without a label, with a weight that is not positive and finite, or with a feature that is not finite are
/// skipped, and a warning says how many. <see cref="BatchNormNetworkTrainerOptions.NonFinite"/> can make such a feature
/// an error. A prediction from features that are not finite is NaN if a batch normalization of the network has
/// <see cref="NonFinite.Throw"/>; other networks compute with these features.
/// </para>
/// </remarks>
/// <typeparam name="TTransformer">The prediction transformer.</typeparam>
/// <typeparam name="TModel">The model in the transformer.</typeparam>
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
        training = options.ForRun(host, loss, classWeights);
        this.options = options.Copy();
    }

    /// <inheritdoc/>
    public override TrainerInfo Info { get; } =
        new(normalization: false, caching: false, supportValid: true, supportIncrementalTrain: true);

    /// <summary>Trains, and validates each epoch with the given rows.</summary>
    /// <param name="trainData">The rows to train on.</param>
    /// <param name="validationData">The rows to validate with, in columns with the same names.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing, or of a type that cannot be used.</exception>
    /// <exception cref="OperationCanceledException">The context or the options' token was canceled.</exception>
    /// <exception cref="IOException">
    /// The rows do not fit in memory and cannot be kept in a temporary file, or the checkpoint cannot be written.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// No row has a label and finite features, training diverged, or the requested GPU is not available.
    /// </exception>
    public TTransformer Fit(IDataView trainData, IDataView validationData)
    {
        Host.CheckValue(validationData, nameof(validationData));
        return TrainTransformer(trainData, validationData);
    }

    /// <summary>
    /// Continues from a trained model, with its network, its switches and its parameters. A layer that is frozen there
    /// stays frozen. If the label needs another number of outputs, and
    /// <see cref="BatchNormNetworkTrainerOptions.FineTune"/> has a plan, the network gets a new head.
    /// </summary>
    /// <param name="trainData">The rows to train on.</param>
    /// <param name="previous">
    /// A fitted or loaded prediction transformer with a network, or a chain with one among its steps.
    /// </param>
    /// <exception cref="ArgumentException">
    /// The model has no network, several, or one that does not fit.
    /// </exception>
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
        ICollective? ranks = options.Engine?.Collective.IfSeveral();
        using IChannel channel = Host.Start("Training");
        int seed = options.Seed ?? Host.Rand.Next();
        (NetworkChoice choice, SavedNetwork start, RoleMappedData? validation) = ranks.Do(() =>
        {
            data.CheckFeatureFloatVector();
            int outputs = CheckLabel(data);
            TensorShape input = ColumnShape.OfRow(data.Schema.Feature!.Value.Type);
            RoleMappedData? validation = Validation(trainContext, input);
            var choice = new NetworkChoice(Host, options, input, outputs);
            return (choice, choice.Choose(Previous(trainContext.InitialPredictor), seed), validation);
        });
        if (ranks is not null)
            CheckSame(ranks, start.Network, data.Schema);
        long memory = options.DataBytesInMemory ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2;
        using TrainingRows rows = ranks.Do(() => Read(data, TrainingRows.Training));
        memory = Math.Max(0, memory - rows.BytesInMemory);
        using TrainingRows? held = ranks.Do(
            () => validation is null ? null : Read(validation, TrainingRows.Validation));
        RowShares? shares = RankAgreement.SharesOf(ranks, rows.Data, held?.Data).Training;
        RowSet kept = RowSet.Split(rows.Data, held is null ? options.ValidationSplit : 0, seed, shares).Training;
        DataWarnings.Warn(
            channel, start.Network, rows.Data, givesLogits: PredictionKind != PredictionKind.Regression);
        TargetScale? scale = Scale(channel, start.Network, kept, ranks, CheckAlive);
        if (scale is { } first && choice.IsFresh(start.Network.Nodes[start.Network.HeadIndex]))
            start = start with { State = first.PutBack(start.Network, start.State) };
        TrainingOptions run = choice.IsDefault ? options.ForDefaultNetwork(training, kept.Count) : training;
        run = run with { Seed = seed, StandardizesTargets = scale is not null };
        TrainingResult result =
            new TrainingRun(Host, channel, options, run, scale).Train(start, rows.Data, held?.Data);
        return CreateModel(result, data.Schema.Label!.Value);

        TrainingRows Read(RoleMappedData from, string role) => Cancellation.Run(
            Host, run => TrainingRows.Read(run, channel, from, role, options.NonFinite, memory),
            options.CancellationToken);

        void CheckAlive()
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            Host.CheckAlive();
        }
    }

    /// <summary>Registers a trainer's host, which checks what the base's constructor needs.</summary>
    private protected static IHost HostOf<TTrainer>(IHostEnvironment env, BatchNormNetworkTrainerOptions options)
    {
        IHost host = Contracts.CheckRef(env, nameof(env)).Register(typeof(TTrainer).Name);
        host.CheckValue(options, nameof(options));
        host.CheckNonEmpty(options.LabelColumnName, nameof(options.LabelColumnName));
        host.CheckNonEmpty(options.FeatureColumnName, nameof(options.FeatureColumnName));
        return host;
    }

    /// <summary>Checks the label column, and returns the number of outputs that it needs.</summary>
    private protected abstract int CheckLabel(RoleMappedData data);

    private protected abstract TModel CreateModel(TrainingResult result, DataViewSchema.Column label);

    /// <summary>The scale to standardize targets with, from the rows kept for training; null for none.</summary>
    private protected virtual TargetScale? Scale(
        IChannel channel, Network network, RowSet kept, ICollective? ranks, Action check) => null;

    void CheckSame(ICollective ranks, Network network, RoleMappedSchema schema)
    {
        string? others = RankColumns.Different(ranks, writer =>
        {
            writer.Write(Definition.ToText(network));
            RankColumns.WriteNames(writer, schema.Label!.Value);
            RankColumns.WriteNames(writer, schema.Feature!.Value);
        });
        Host.CheckUserArg(
            others is null, nameof(options.Network),
            "The network, the label's key values or the features' slot names differ from those of rank 0 on " +
            $"{others}. {RankColumns.Advice}");
    }

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
                    $"ValidationData has no column '{column.Name}'. Give rows that have been through the steps " +
                    "before the trainer, as the training data has.");
            }
            // This checks the types of the columns.
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
