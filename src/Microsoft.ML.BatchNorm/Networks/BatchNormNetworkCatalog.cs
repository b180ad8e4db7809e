using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;
using Defaults = Microsoft.ML.Trainers.BatchNormNetworkTrainerOptions.Defaults;

namespace Microsoft.ML;

/// <summary>The network trainers in ML.NET's catalogs.</summary>
public static class BatchNormNetworkCatalog
{
    /// <summary>Trains a network to tell classes apart.</summary>
    /// <param name="catalog">The multiclass trainers.</param>
    /// <param name="labelColumnName">The label, a key of any type.</param>
    /// <param name="featureColumnName">The features, a vector of <see cref="float"/> of known size.</param>
    /// <param name="exampleWeightColumnName">The rows' weights, <see cref="float"/>; null for equal weights.</param>
    /// <param name="network">
    /// The network, with one output per class, before the softmax. Null for a small one with batch normalization.
    /// </param>
    /// <param name="epochs">
    /// How many times training goes through the data; at least 1. Null for the default of
    /// <see cref="BatchNormNetworkTrainerOptions.Epochs"/>.
    /// </param>
    /// <param name="batchSize">
    /// The number of rows in a step; at least 1. Null for the default of
    /// <see cref="BatchNormNetworkTrainerOptions.BatchSize"/>.
    /// </param>
    /// <param name="learningRate">
    /// The optimizer's learning rate; at least 0. Null for the default of
    /// <see cref="BatchNormNetworkTrainerOptions.Optimizer"/>.
    /// </param>
    /// <example>
    /// <code>
    /// var pipeline = mlContext.Transforms.BatchNormalization("Features", "Pixels")
    ///     .Append(mlContext.MulticlassClassification.Trainers.BatchNormNetwork(epochs: 20));
    /// var model = pipeline.Fit(rows);
    /// Console.WriteLine(mlContext.MulticlassClassification.Evaluate(model.Transform(newRows)).MicroAccuracy);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">An argument is out of range.</exception>
    public static BatchNormNetworkMulticlassTrainer BatchNormNetwork(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog,
        string labelColumnName = DefaultColumnNames.Label, string featureColumnName = DefaultColumnNames.Features,
        string? exampleWeightColumnName = null, Network? network = null, int? epochs = null,
        int? batchSize = null, double? learningRate = null) =>
        catalog.BatchNormNetwork(With(
            CatalogUtils.GetEnvironment(catalog), new BatchNormNetworkMulticlassTrainer.Options(), labelColumnName,
            featureColumnName, exampleWeightColumnName, network, epochs, batchSize, learningRate));

    /// <summary>Fine-tunes a pretrained network to tell classes apart.</summary>
    /// <param name="catalog">The multiclass trainers.</param>
    /// <param name="pretrained">
    /// The network and its parameters. It gets a new head if its number of outputs differs from what the label asks for (<see cref="Network.WithHead"/>).
    /// </param>
    /// <param name="fineTune">
    /// The phases of the run, such as <see cref="FineTune.HeadThenAll"/>, which also says what the batch normalizations
    /// do.
    /// </param>
    /// <param name="labelColumnName">The label, a key of any type.</param>
    /// <param name="featureColumnName">
    /// The features, a vector of <see cref="float"/> of the network's input shape.
    /// </param>
    /// <param name="exampleWeightColumnName">The rows' weights, <see cref="float"/>; null for equal weights.</param>
    /// <param name="batchSize">The number of rows in a step; at least 1.</param>
    /// <example>
    /// <code>
    /// // pretrained is a network from a file, by Network.Load, LoadSafetensors or OnnxImport.Load.
    /// var trainer = mlContext.MulticlassClassification.Trainers.BatchNormNetwork(
    ///     pretrained, FineTune.HeadThenAll(headEpochs: 2, allEpochs: 4, headLearningRate: 1e-3, learningRate: 1e-4),
    ///     featureColumnName: "Pixels");
    /// var model = trainer.Fit(rows);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">An argument is null or out of range.</exception>
    public static BatchNormNetworkMulticlassTrainer BatchNormNetwork(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog, SavedNetwork pretrained,
        FineTuningPlan fineTune, string labelColumnName = DefaultColumnNames.Label,
        string featureColumnName = DefaultColumnNames.Features, string? exampleWeightColumnName = null,
        int batchSize = Defaults.BatchSize) =>
        catalog.BatchNormNetwork(With(
            CatalogUtils.GetEnvironment(catalog), new BatchNormNetworkMulticlassTrainer.Options(), pretrained, fineTune,
            labelColumnName, featureColumnName, exampleWeightColumnName, batchSize));

    /// <summary>Trains a network to tell classes apart, with all options.</summary>
    /// <param name="catalog">The multiclass trainers.</param>
    /// <param name="options">The columns, the network, and how it is trained.</param>
    /// <example>
    /// <code>
    /// var trainer = mlContext.MulticlassClassification.Trainers.BatchNormNetwork(
    ///     new BatchNormNetworkMulticlassTrainer.Options
    ///     {
    ///         FeatureColumnName = "Pixels",
    ///         Network = Network.Input(64).BatchNormalization()
    ///             .Dense(32, useBias: false).BatchNormalization().ReLU().Dense(10),
    ///         Epochs = 20,
    ///         Optimizer = Optimizer.Adam(learningRate: 0.01),
    ///         ValidationData = newRows,
    ///         EarlyStopping = new EarlyStopping { Patience = 5 },
    ///     });
    /// var model = trainer.Fit(rows);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">An option is out of range, or options contradict each other.</exception>
    public static BatchNormNetworkMulticlassTrainer BatchNormNetwork(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog,
        BatchNormNetworkMulticlassTrainer.Options options) => new(CatalogUtils.GetEnvironment(catalog), options);

    /// <summary>Trains a network to tell two classes apart. It predicts a score and a probability.</summary>
    /// <param name="catalog">The binary trainers.</param>
    /// <param name="labelColumnName">The label, a <see cref="bool"/>.</param>
    /// <param name="featureColumnName">The features, a vector of <see cref="float"/> of known size.</param>
    /// <param name="exampleWeightColumnName">The rows' weights, <see cref="float"/>; null for equal weights.</param>
    /// <param name="network">
    /// The network, with one output, before the sigmoid. Null for a small one with batch normalization.
    /// </param>
    /// <param name="epochs">
    /// How many times training goes through the data; at least 1. Null for the default of
    /// <see cref="BatchNormNetworkTrainerOptions.Epochs"/>.
    /// </param>
    /// <param name="batchSize">
    /// The number of rows in a step; at least 1. Null for the default of
    /// <see cref="BatchNormNetworkTrainerOptions.BatchSize"/>.
    /// </param>
    /// <param name="learningRate">
    /// The optimizer's learning rate; at least 0. Null for the default of
    /// <see cref="BatchNormNetworkTrainerOptions.Optimizer"/>.
    /// </param>
    /// <example>
    /// <code>
    /// var pipeline = mlContext.Transforms.BatchNormalization("Features", "Pixels")
    ///     .Append(mlContext.BinaryClassification.Trainers.BatchNormNetwork("IsEven", epochs: 20));
    /// var model = pipeline.Fit(rows);
    /// Console.WriteLine(mlContext.BinaryClassification.Evaluate(model.Transform(newRows), "IsEven").Accuracy);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">An argument is out of range.</exception>
    public static BatchNormNetworkBinaryTrainer BatchNormNetwork(
        this BinaryClassificationCatalog.BinaryClassificationTrainers catalog,
        string labelColumnName = DefaultColumnNames.Label, string featureColumnName = DefaultColumnNames.Features,
        string? exampleWeightColumnName = null, Network? network = null, int? epochs = null,
        int? batchSize = null, double? learningRate = null) =>
        catalog.BatchNormNetwork(With(
            CatalogUtils.GetEnvironment(catalog), new BatchNormNetworkBinaryTrainer.Options(), labelColumnName,
            featureColumnName, exampleWeightColumnName, network, epochs, batchSize, learningRate));

    /// <summary>Fine-tunes a pretrained network to tell two classes apart.</summary>
    /// <param name="catalog">The binary trainers.</param>
    /// <param name="pretrained">
    /// The network and its parameters. It gets a new head if its number of outputs differs from what the label asks for (<see cref="Network.WithHead"/>).
    /// </param>
    /// <param name="fineTune">
    /// The phases of the run, such as <see cref="FineTune.HeadThenAll"/>, which also says what the batch normalizations
    /// do.
    /// </param>
    /// <param name="labelColumnName">The label, a <see cref="bool"/>.</param>
    /// <param name="featureColumnName">
    /// The features, a vector of <see cref="float"/> of the network's input shape.
    /// </param>
    /// <param name="exampleWeightColumnName">The rows' weights, <see cref="float"/>; null for equal weights.</param>
    /// <param name="batchSize">The number of rows in a step; at least 1.</param>
    /// <example>
    /// <code>
    /// // pretrained is a network from a file, by Network.Load, LoadSafetensors or OnnxImport.Load.
    /// var trainer = mlContext.BinaryClassification.Trainers.BatchNormNetwork(
    ///     pretrained, FineTune.HeadThenAll(headEpochs: 2, allEpochs: 4, headLearningRate: 1e-3, learningRate: 1e-4),
    ///     labelColumnName: "IsEven", featureColumnName: "Pixels");
    /// var model = trainer.Fit(rows);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">An argument is null or out of range.</exception>
    public static BatchNormNetworkBinaryTrainer BatchNormNetwork(
        this BinaryClassificationCatalog.BinaryClassificationTrainers catalog, SavedNetwork pretrained,
        FineTuningPlan fineTune, string labelColumnName = DefaultColumnNames.Label,
        string featureColumnName = DefaultColumnNames.Features, string? exampleWeightColumnName = null,
        int batchSize = Defaults.BatchSize) =>
        catalog.BatchNormNetwork(With(
            CatalogUtils.GetEnvironment(catalog), new BatchNormNetworkBinaryTrainer.Options(), pretrained, fineTune,
            labelColumnName, featureColumnName, exampleWeightColumnName, batchSize));

    /// <summary>Trains a network to tell two classes apart, with all options.</summary>
    /// <param name="catalog">The binary trainers.</param>
    /// <param name="options">The columns, the network, and how it is trained.</param>
    /// <example>
    /// <code>
    /// var trainer = mlContext.BinaryClassification.Trainers.BatchNormNetwork(
    ///     new BatchNormNetworkBinaryTrainer.Options
    ///     {
    ///         LabelColumnName = "IsEven",
    ///         FeatureColumnName = "Pixels",
    ///         Network = Network.Input(64).BatchNormalization()
    ///             .Dense(32, useBias: false).BatchNormalization().ReLU().Dense(1),
    ///         Epochs = 20,
    ///         ValidationData = newRows,
    ///     });
    /// var model = trainer.Fit(rows);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">An option is out of range, or options contradict each other.</exception>
    public static BatchNormNetworkBinaryTrainer BatchNormNetwork(
        this BinaryClassificationCatalog.BinaryClassificationTrainers catalog,
        BatchNormNetworkBinaryTrainer.Options options) => new(CatalogUtils.GetEnvironment(catalog), options);

    /// <summary>Trains a network to predict a number, with the mean squared error.</summary>
    /// <param name="catalog">The regression trainers.</param>
    /// <param name="labelColumnName">The label, a <see cref="float"/>.</param>
    /// <param name="featureColumnName">The features, a vector of <see cref="float"/> of known size.</param>
    /// <param name="exampleWeightColumnName">The rows' weights, <see cref="float"/>; null for equal weights.</param>
    /// <param name="network">The network, with one output. Null for a small one with batch normalization.</param>
    /// <param name="epochs">
    /// How many times training goes through the data; at least 1. Null for the default of
    /// <see cref="BatchNormNetworkTrainerOptions.Epochs"/>.
    /// </param>
    /// <param name="batchSize">
    /// The number of rows in a step; at least 1. Null for the default of
    /// <see cref="BatchNormNetworkTrainerOptions.BatchSize"/>.
    /// </param>
    /// <param name="learningRate">
    /// The optimizer's learning rate; at least 0. Null for the default of
    /// <see cref="BatchNormNetworkTrainerOptions.Optimizer"/>.
    /// </param>
    /// <example>
    /// <code>
    /// var pipeline = mlContext.Transforms.BatchNormalization("Features", "Pixels")
    ///     .Append(mlContext.Regression.Trainers.BatchNormNetwork("Value", epochs: 20));
    /// var model = pipeline.Fit(rows);
    /// Console.WriteLine(mlContext.Regression.Evaluate(model.Transform(newRows), "Value").RSquared);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">An argument is out of range.</exception>
    public static BatchNormNetworkRegressionTrainer BatchNormNetwork(
        this RegressionCatalog.RegressionTrainers catalog,
        string labelColumnName = DefaultColumnNames.Label, string featureColumnName = DefaultColumnNames.Features,
        string? exampleWeightColumnName = null, Network? network = null, int? epochs = null,
        int? batchSize = null, double? learningRate = null) =>
        catalog.BatchNormNetwork(With(
            CatalogUtils.GetEnvironment(catalog), new BatchNormNetworkRegressionTrainer.Options(), labelColumnName,
            featureColumnName, exampleWeightColumnName, network, epochs, batchSize, learningRate));

    /// <summary>Fine-tunes a pretrained network to predict a number.</summary>
    /// <param name="catalog">The regression trainers.</param>
    /// <param name="pretrained">
    /// The network and its parameters. It gets a new head if its number of outputs differs from what the label asks for (<see cref="Network.WithHead"/>).
    /// </param>
    /// <param name="fineTune">
    /// The phases of the run, such as <see cref="FineTune.HeadThenAll"/>, which also says what the batch normalizations
    /// do.
    /// </param>
    /// <param name="labelColumnName">The label, a <see cref="float"/>.</param>
    /// <param name="featureColumnName">
    /// The features, a vector of <see cref="float"/> of the network's input shape.
    /// </param>
    /// <param name="exampleWeightColumnName">The rows' weights, <see cref="float"/>; null for equal weights.</param>
    /// <param name="batchSize">The number of rows in a step; at least 1.</param>
    /// <example>
    /// <code>
    /// // pretrained is a network from a file, by Network.Load, LoadSafetensors or OnnxImport.Load.
    /// var trainer = mlContext.Regression.Trainers.BatchNormNetwork(
    ///     pretrained, FineTune.HeadThenAll(headEpochs: 2, allEpochs: 4, headLearningRate: 1e-3, learningRate: 1e-4),
    ///     labelColumnName: "Value", featureColumnName: "Pixels");
    /// var model = trainer.Fit(rows);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">An argument is null or out of range.</exception>
    public static BatchNormNetworkRegressionTrainer BatchNormNetwork(
        this RegressionCatalog.RegressionTrainers catalog, SavedNetwork pretrained,
        FineTuningPlan fineTune, string labelColumnName = DefaultColumnNames.Label,
        string featureColumnName = DefaultColumnNames.Features, string? exampleWeightColumnName = null,
        int batchSize = Defaults.BatchSize) =>
        catalog.BatchNormNetwork(With(
            CatalogUtils.GetEnvironment(catalog), new BatchNormNetworkRegressionTrainer.Options(), pretrained, fineTune,
            labelColumnName, featureColumnName, exampleWeightColumnName, batchSize));

    /// <summary>Trains a network to predict a number, with all options.</summary>
    /// <param name="catalog">The regression trainers.</param>
    /// <param name="options">The columns, the network, and how it is trained.</param>
    /// <example>
    /// <code>
    /// var trainer = mlContext.Regression.Trainers.BatchNormNetwork(new BatchNormNetworkRegressionTrainer.Options
    /// {
    ///     LabelColumnName = "Value",
    ///     FeatureColumnName = "Pixels",
    ///     Loss = Loss.Huber(),
    ///     Epochs = 20,
    ///     ValidationData = newRows,
    /// });
    /// var model = trainer.Fit(rows);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">An option is out of range, or options contradict each other.</exception>
    public static BatchNormNetworkRegressionTrainer BatchNormNetwork(
        this RegressionCatalog.RegressionTrainers catalog, BatchNormNetworkRegressionTrainer.Options options) =>
        new(CatalogUtils.GetEnvironment(catalog), options);

    static TOptions With<TOptions>(
        IHostEnvironment env, TOptions options, string label, string features,
        string? weights, Network? network, int? epochs, int? batchSize, double? learningRate)
        where TOptions : BatchNormNetworkTrainerOptions
    {
        env.CheckUserArg(
            learningRate is not { } rate || rate >= 0 && double.IsFinite(rate), nameof(learningRate),
            FormattableString.Invariant($"The learningRate must be finite and not negative, not {learningRate}."));
        options.LabelColumnName = label;
        options.FeatureColumnName = features;
        options.ExampleWeightColumnName = weights!;
        options.Network = network;
        options.Epochs = epochs;
        options.BatchSize = batchSize;
        options.LearningRate = learningRate;
        return options;
    }

    static TOptions With<TOptions>(
        IHostEnvironment env, TOptions options, SavedNetwork pretrained, FineTuningPlan fineTune, string label,
        string features, string? weights, int batchSize)
        where TOptions : BatchNormNetworkTrainerOptions
    {
        env.CheckValue(pretrained, nameof(pretrained));
        env.CheckValue(fineTune, nameof(fineTune));
        options.Pretrained = pretrained;
        options.FineTune = fineTune;
        options.LabelColumnName = label;
        options.FeatureColumnName = features;
        options.ExampleWeightColumnName = weights!;
        options.BatchSize = batchSize;
        return options;
    }
}
