using System.Text.Json;

namespace Microsoft.ML.BatchNorm.Tests.Parity;

/// <summary>
/// A network, how it is trained, and what came of it. A loss, optimizer or layer that is not known is an error.
/// </summary>
sealed record NetworkCase(
    string Name, string Loss, JsonElement Optimizer, NetworkCaseLayer[] Layers, int BatchSize, int Inputs, int Outputs,
    NetworkBatch[] Batches, NetworkExpectation Expected)
{
    public Network ToNetwork() => Network.Of(new TensorShape(Inputs), Layers.Select(layer => layer.ToLayer()));

    public NetworkState ToState(Network network) => new(
        network.Nodes.Zip(Layers)
            .Where(pair => pair.Second.ToState() is not null)
            .Select(pair => KeyValuePair.Create(pair.First.Path, pair.Second.ToState()!)));

    public TrainingOptions ToOptions() => new()
    {
        Loss = Loss switch
        {
            "softmaxCrossEntropy" => BatchNorm.Loss.SoftmaxCrossEntropy,
            "binaryCrossEntropy" => BatchNorm.Loss.BinaryCrossEntropy,
            "meanSquaredError" => BatchNorm.Loss.MeanSquaredError,
            "meanAbsoluteError" => BatchNorm.Loss.MeanAbsoluteError,
            "huber" => BatchNorm.Loss.Huber(),
            _ => throw new InvalidDataException($"The loss '{Loss}' is not known."),
        },
        Optimizer = OptimizerCase.Read(Optimizer),
        BatchSize = BatchSize,
    };

    public TrainingData ToData() => new(
        Batches.Sum(batch => Rows(batch)), Batches.SelectMany(batch => batch.X).ToArray(),
        Batches.SelectMany(batch => batch.Y).ToArray());

    public int Rows(NetworkBatch batch) => batch.X.Length / Inputs;
}

sealed record NetworkBatch(float[] X, float[] Y);

sealed record NetworkExpectation(double[] Losses, NetworkCaseLayer[] Layers, NetworkInference Inference);

sealed record NetworkInference(float[] X, double[] Y);

/// <summary>A layer with its numbers: before training, or as expected behind it.</summary>
sealed record NetworkCaseLayer(
    string Type, int Inputs, int Units, double[]? Weight, double[]? Bias, int Features, CaseOptions? Options,
    double[]? Gamma, double[]? Beta, double[]? MovingMean, double[]? MovingVariance, bool Trainable,
    bool UpdateStatistics, bool TrainAffine)
{
    public BatchNorm.Layer ToLayer() => Type switch
    {
        "dense" => new DenseLayer(Units) { UseBias = Bias is not null, Trainable = Trainable },
        "batchNormalization" => new BatchNormalizationLayer(
            Options!.ToOptions() with { UpdateStatistics = UpdateStatistics, TrainAffine = TrainAffine })
        {
            Trainable = Trainable,
        },
        "relu" => new ActivationLayer(Activation.ReLU),
        "gelu" => new ActivationLayer(Activation.Gelu),
        "sigmoid" => new ActivationLayer(Activation.Sigmoid),
        "tanh" => new ActivationLayer(Activation.Tanh),
        "flatten" => new FlattenLayer(),
        _ => throw new InvalidDataException($"The layer '{Type}' is not known."),
    };

    public LayerState? ToState() => Type switch
    {
        "dense" => new LayerState(Floats(Weight), Floats(Bias)),
        "batchNormalization" => new LayerState(
            new CaseState(Floats(Gamma), Floats(Beta), MovingMean, MovingVariance, null, null, null).ToState(Features)),
        _ => null,
    };

    static float[] Floats(double[]? values) => Array.ConvertAll(values ?? [], value => (float)value);
}

static class OptimizerCase
{
    /// <summary>Reads every member of the object; one that it does not know is an error.</summary>
    public static Optimizer Read(JsonElement json)
    {
        Dictionary<string, JsonElement> members = json.EnumerateObject().ToDictionary(
            member => member.Name, member => member.Value);
        double Number(string name, double otherwise = double.NaN) =>
            members.Remove(name, out JsonElement value) ? value.GetDouble()
            : double.IsNaN(otherwise) ? throw new InvalidDataException($"The optimizer has no '{name}'.")
            : otherwise;

        members.Remove("type", out JsonElement type);
        Optimizer optimizer = type.GetString() switch
        {
            "sgd" => new SgdOptimizer
            {
                Momentum = Number("momentum", 0),
                Nesterov = members.Remove("nesterov", out JsonElement nesterov) && nesterov.GetBoolean(),
            },
            "adam" => new AdamOptimizer
            {
                Beta1 = Number("beta1"), Beta2 = Number("beta2"), Epsilon = Number("epsilon"),
            },
            "adamw" => new AdamWOptimizer
            {
                Beta1 = Number("beta1"), Beta2 = Number("beta2"), Epsilon = Number("epsilon"),
            },
            var other => throw new InvalidDataException($"The optimizer '{other}' is not known."),
        };
        optimizer = optimizer with
        {
            LearningRate = Number("learningRate"),
            WeightDecay = Number("weightDecay", 0),
            DecayedParameters = DecayedParameters.All,
        };
        return members.Count == 0
            ? optimizer
            : throw new InvalidDataException($"The optimizer has '{members.Keys.First()}', which is not known.");
    }
}
