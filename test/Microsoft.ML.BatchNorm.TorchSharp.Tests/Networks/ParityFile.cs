using System.Text.Json;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>The reference cases of networks in test/parity.</summary>
sealed record ParityFile(string Kind, Dictionary<string, double> Tolerance, NetworkCase[] Cases)
{
    static readonly JsonSerializerOptions options = new(JsonSerializerDefaults.Web);

    public static ParityFile Read(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return JsonSerializer.Deserialize<ParityFile>(stream, options)!;
    }
}

sealed record NetworkCase(
    string Name, string Loss, CaseOptimizer Optimizer, CaseLayer[] Layers, int BatchSize, int Inputs, int Outputs,
    CaseBatch[] Batches, CaseExpected Expected)
{
    public Network Network() =>
        Layers.Aggregate(BatchNorm.Network.Input(Inputs), (network, layer) => network.Add(layer.ToLayer()));

    public NetworkState State() => State(Layers);

    public NetworkState State(CaseLayer[] layers) => new(Network().Nodes.Zip(layers)
        .Where(pair => pair.Second.ToState() is not null)
        .Select(pair => KeyValuePair.Create(pair.First.Path, pair.Second.ToState()!)));

    public TrainingOptions Options() => new()
    {
        Optimizer = Optimizer.ToOptimizer(),
        Loss = Loss switch
        {
            "softmaxCrossEntropy" => BatchNorm.Loss.SoftmaxCrossEntropy,
            "mse" or "meanSquaredError" => BatchNorm.Loss.MeanSquaredError,
            "binaryCrossEntropy" => BatchNorm.Loss.BinaryCrossEntropy,
            _ => throw new InvalidDataException($"The loss '{Loss}' is not known."),
        },
    };

    public TrainingData Data() => new(
        Batches.Length * BatchSize,
        Batches.SelectMany(batch => batch.X).ToArray(), Batches.SelectMany(batch => batch.Y).ToArray());
}

sealed record CaseOptimizer(
    string Type, double LearningRate, double WeightDecay, double Beta1, double Beta2, double Epsilon, double Momentum,
    bool Nesterov)
{
    public Optimizer ToOptimizer() => OfType() with { DecayedParameters = DecayedParameters.All };

    Optimizer OfType() => Type switch
    {
        "sgd" => new SgdOptimizer
        {
            LearningRate = LearningRate, WeightDecay = WeightDecay, Momentum = Momentum, Nesterov = Nesterov,
        },
        "adam" => new AdamOptimizer
        {
            LearningRate = LearningRate, WeightDecay = WeightDecay, Beta1 = Beta1, Beta2 = Beta2, Epsilon = Epsilon,
        },
        "adamW" or "adamw" => new AdamWOptimizer
        {
            LearningRate = LearningRate, WeightDecay = WeightDecay, Beta1 = Beta1, Beta2 = Beta2, Epsilon = Epsilon,
        },
        _ => throw new InvalidDataException($"The optimizer '{Type}' is not known."),
    };
}

sealed record CaseBatch(float[] X, float[] Y);

sealed record CaseExpected(double[] Losses, CaseLayer[] Layers, CaseInference Inference);

sealed record CaseInference(float[] X, double[] Y);

sealed record CaseLayer(
    string Type, int Units, double[]? Weight, double[]? Bias, bool Trainable, CaseBatchNormalization? Options,
    double[]? Gamma, double[]? Beta, double[]? MovingMean, double[]? MovingVariance, bool? UpdateStatistics,
    bool? TrainAffine)
{
    public Layer ToLayer() => Type switch
    {
        "dense" => new DenseLayer(Units) { UseBias = Bias is not null, Trainable = Trainable },
        "relu" => new ActivationLayer(Activation.ReLU),
        "tanh" => new ActivationLayer(Activation.Tanh),
        "sigmoid" => new ActivationLayer(Activation.Sigmoid),
        "batchNormalization" => new BatchNormalizationLayer(new BatchNormalizationOptions
        {
            Axis = Options!.Axis,
            Momentum = Options.Decay ?? 0,
            Epsilon = Options.Epsilon,
            MovingStatistics = Options.Cumulative ? MovingStatistics.Cumulative : MovingStatistics.Exponential,
            VarianceConvention =
                Options.MovingVariance == "sample" ? VarianceConvention.Sample : VarianceConvention.Population,
            UpdateStatistics = UpdateStatistics ?? true,
            TrainAffine = TrainAffine ?? true,
        })
        {
            Trainable = Trainable,
        },
        _ => throw new InvalidDataException($"The layer '{Type}' is not known."),
    };

    public LayerState? ToState() => Type switch
    {
        "dense" => new LayerState(Floats(Weight), Floats(Bias)),
        "batchNormalization" => new LayerState(
            new BatchNormalizationState(MovingMean, MovingVariance, Floats(Gamma), Floats(Beta))),
        _ => null,
    };

    static float[] Floats(double[]? values) => Array.ConvertAll(values ?? [], value => (float)value);
}

sealed record CaseBatchNormalization(int Axis, double? Decay, bool Cumulative, double Epsilon, string MovingVariance);
