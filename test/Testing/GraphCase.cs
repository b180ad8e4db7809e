using System.Collections.Immutable;
using System.Text.Json;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>The networks that branch in test/parity/torch-graphs.json, and what PyTorch computed.</summary>
sealed record GraphFile(int Format, string Kind, string Oracle, Dictionary<string, double> Tolerance, GraphCase[] Cases)
{
    static readonly JsonSerializerOptions strict = new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = System.Text.Json.Serialization.JsonUnmappedMemberHandling.Disallow,
        PropertyNameCaseInsensitive = false,
    };

    /// <summary>The weight of the cases whose first step is uncertain in float.</summary>
    public static UncertainStep Uncertain { get; } = new(
        "a small ResNet with a projection shortcut, keepStatistics", "conv2d_4", 235, -9.485e-9, 0.01142);

    static readonly Lazy<GraphFile> file = new(() =>
    {
        using FileStream stream = File.OpenRead(
            Path.Combine(AppContext.BaseDirectory, "parity", "torch-graphs.json"));
        return JsonSerializer.Deserialize<GraphFile>(stream, strict)!;
    });

    /// <summary>The names of the cases all of whose layers there are.</summary>
    public static IEnumerable<string> Names =>
        file.Value.Cases.Where(each => each.Nodes.All(node => node.IsKnown)).Select(each => each.Name);

    /// <summary>The names of those with a layer that there is not.</summary>
    public static IEnumerable<string> UnknownNames => file.Value.Cases.Select(each => each.Name).Except(Names);

    public static GraphCase Case(string name) => file.Value.Cases.Single(each => each.Name == name);

    /// <summary>Trains as the case does, and compares.</summary>
    /// <param name="name">The case's name.</param>
    /// <param name="engine">Where to train.</param>
    /// <param name="least">The least tolerance.</param>
    public static void Check(string name, ITrainingEngine engine, double least = 0)
    {
        GraphFile known = file.Value;
        Assert.AreEqual((1, "graph"), (known.Format, known.Kind));
        GraphCase given = Case(name);
        double Tolerance(string of) => Math.Max(least, known.Tolerance[of]);
        Network network = given.ToNetwork();
        Assert.AreEqual(given.Classes, network.OutputShape.Size);
        int rows = given.Batches.Sum(batch => batch.Y.Length);
        var data = new TrainingData(
            rows, given.Batches.SelectMany(batch => batch.X).ToArray(),
            given.Batches.SelectMany(batch => batch.Y).ToArray());
        var options = new TrainingOptions { Optimizer = given.Optimizer.ToOptimizer() };
        NetworkState start = GraphCase.ToState(network, given.Parameters);
        double[] losses = new double[given.Batches.Length];
        int first = 0;
        using ITrainingSession begun = engine.Start(network, start, options, data);
        Train(begun, 0, 1);
        using ITrainingSession? settled = name == Uncertain.Case
            ? engine.Start(network, Uncertain.Settle(start, begun.GetState(), given.Optimizer), options, data)
            : null;
        settled?.SetOptimizerState(begun.GetOptimizerState());
        ITrainingSession session = settled ?? begun;
        Train(session, 1, losses.Length);
        Agreement.Within(Tolerance("loss"), given.Expected.Losses, losses, "losses");
        NetworkState expected = GraphCase.ToState(network, given.Expected.Parameters), actual = session.GetState();
        foreach (string path in expected.Paths)
            Agree(expected[path], actual[path], Tolerance("state"), path);
        float[] outputs = new float[given.Expected.Inference.Y.Length];
        session.Predict(given.Expected.Inference.X, outputs);
        Agreement.Within(Tolerance("output"), given.Expected.Inference.Y, outputs, "inference");
        Agreement.Within(
            Tolerance("output"), given.Expected.Inference.Y,
            new NetworkModel(network, actual).Predict(given.Expected.Inference.X), "serving");

        void Train(ITrainingSession session, int from, int to)
        {
            foreach (GraphBatch batch in given.Batches[from..to])
            {
                session.TrainOnBatch([.. Enumerable.Range(first, batch.Y.Length)], given.Optimizer.LearningRate);
                first += batch.Y.Length;
            }
            Assert.AreEqual(to - from, session.ReadLosses(losses.AsSpan(from)));
        }
    }

    /// <summary>Compares the gradient of the first batch's features, where the case has it.</summary>
    /// <remarks>
    /// No engine gives that gradient. So the features are the kernel of one more convolution, which reads the number of
    /// the row as a 1 among zeros and writes the row.
    /// </remarks>
    public static void CheckInputGradient(string name, ITrainingEngine engine)
    {
        GraphCase given = Case(name);
        if (given.Expected.FirstInputGradient is not { } expected)
            return;
        (float[] x, float[] y) = given.Batches[0];
        (int rows, int channels, int area) = (y.Length, given.Input[0], given.Input[1] * given.Input[2]);
        Padding2D around = (given.Input[1] - 1, given.Input[2] - 1);
        var features = new Conv2DLayer(channels, (given.Input[1], given.Input[2])) { Padding = around, UseBias = false };
        Network inner = given.ToNetwork(), network = Network.OfNodes(
            new(rows, 1, 1), null,
            [
                ("features", features, [-1]),
                .. inner.Nodes.Select(node => (
                    node.Path, node.Layer, node.Inputs.Select(input => input + 1).ToImmutableArray())),
            ]);
        NetworkState start = GraphCase.ToState(inner, given.Parameters), state = new(
            start.Paths.Select(path => KeyValuePair.Create(path, start[path]))
                .Append(KeyValuePair.Create("features", new LayerState(Exchanged(x, rows, channels, area), null))));
        float[] numbers = [.. Enumerable.Range(0, rows * rows).Select(i => i / rows == i % rows ? 1f : 0f)];
        using ITrainingSession session = engine.Start(
            network, state, new TrainingOptions { Optimizer = new SgdOptimizer { Momentum = 0.9 } },
            new TrainingData(rows, numbers, y));
        session.TrainOnBatch([.. Enumerable.Range(0, rows)], learningRate: 0);
        float[] gradient = [.. session.GetOptimizerState().Moments["features/kernel/velocity"]];
        double most = expected.Max(Math.Abs);
        Agreement.Within(
            file.Value.Tolerance["gradient"], Array.ConvertAll(expected, value => value / most),
            Array.ConvertAll(Exchanged(gradient, channels, rows, area), value => value / most), "gradient");
    }

    /// <summary>
    /// Rows of images as a kernel <c>[channels, rows, height, width]</c>, which a convolution reads from the end; or,
    /// with the two numbers exchanged, the way back.
    /// </summary>
    static float[] Exchanged(float[] values, int outer, int inner, int area)
    {
        float[] exchanged = new float[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            int place = i % area, second = i / area % inner, first = i / area / inner;
            exchanged[(second * outer + first) * area + area - 1 - place] = values[i];
        }
        return exchanged;
    }

    static void Agree(LayerState expected, LayerState actual, double tolerance, string path)
    {
        Agreement.Within(tolerance, Sample.Widen(expected.Kernel), actual.Kernel, $"{path}/kernel");
        Agreement.Within(tolerance, Sample.Widen(expected.Bias), actual.Bias, $"{path}/bias");
        if (expected.BatchNormalization is not { } known)
            return;
        BatchNormalizationState given = actual.BatchNormalization!;
        Agreement.Within(tolerance, Sample.Widen(known.Gamma), given.Gamma, $"{path}/gamma");
        Agreement.Within(tolerance, Sample.Widen(known.Beta), given.Beta, $"{path}/beta");
        Agreement.Within(tolerance, known.MovingMean, given.MovingMean, $"{path}/mean");
        Agreement.Within(tolerance, known.MovingVariance, given.MovingVariance, $"{path}/variance");
    }
}

/// <summary>
/// A weight whose first step no engine can compute in float to the tolerance of its file: Adam divides a gradient by
/// its size, and this gradient is so small that the rounding of its terms is a large part of it. In the steps after it,
/// the other weights would follow.
/// </summary>
/// <param name="Case">The name of the case.</param>
/// <param name="Path">The path of a convolution.</param>
/// <param name="Index">The index in its kernel.</param>
/// <param name="Gradient">The gradient in the first step, by the formulas in double.</param>
/// <param name="Terms">The sum of the absolute values of the terms that the gradient is the sum of.</param>
sealed record UncertainStep(string Case, string Path, int Index, double Gradient, double Terms)
{
    /// <summary>How far a gradient is off if both factors of each term are rounded to float.</summary>
    public static double Rounding(double terms) => 2 * Math.Pow(2, -24) * terms;

    /// <summary>Adam's first step.</summary>
    public static double Step(double gradient, GraphOptimizer adam) =>
        -adam.LearningRate * gradient / (Math.Abs(gradient) + adam.Epsilon);

    /// <summary>
    /// Checks that a weight is where rounding may have moved it in the first step, and puts it where it belongs.
    /// </summary>
    public NetworkState Settle(NetworkState start, NetworkState next, GraphOptimizer adam)
    {
        double before = start[Path].Kernel[Index], rounding = Rounding(Terms);
        float[] kernel = next[Path].Kernel.ToArray();
        Assert.IsInRange(
            before + Step(Gradient + rounding, adam), before + Step(Gradient - rounding, adam), (double)kernel[Index]);
        kernel[Index] = (float)(before + Step(Gradient, adam));
        return new NetworkState(next.Paths.Select(
            path => KeyValuePair.Create(path, path == Path ? new LayerState(kernel) : next[path])));
    }
}

sealed record GraphCase(
    string Name, int[] Input, int Classes, string Mode, string[] Head, GraphNode[] Nodes,
    Dictionary<string, GraphParameters> Parameters, GraphOptimizer Optimizer, int BatchSize, GraphBatch[] Batches,
    GraphExpectation Expected)
{
    public Network ToNetwork()
    {
        string[] names = [.. Nodes.Select(node => node.Name)];
        Network network = Network.OfNodes(
            new TensorShape(Input), null,
            Nodes.Select(node => (
                node.Name, node.ToLayer(Parameters.GetValueOrDefault(node.Name)?.Bias is not null),
                node.Inputs.Select(name => Array.IndexOf(names, name)).ToImmutableArray())));
        string[] body = [.. names.Except(Head)];
        string[] normalizations = [.. Nodes.Where(node => node.Type == "batchNormalization" && body.Contains(node.Name))
            .Select(node => node.Name)];
        return Mode switch
        {
            "train" => network,
            "keepStatistics" => network.WithBatchNormalization(
                options => options with { UpdateStatistics = false }, normalizations),
            "keepFrozen" => network.Freeze(normalizations),
            "headOnly" => network.Freeze(body),
            _ => throw new InvalidDataException($"The mode '{Mode}' is not known."),
        };
    }

    public static NetworkState ToState(Network network, Dictionary<string, GraphParameters> parameters) => new(
        network.Nodes.Where(node => parameters.ContainsKey(node.Path)).Select(
            node => KeyValuePair.Create(node.Path, parameters[node.Path].ToState())));
}

/// <summary>A node; an attribute belongs to some types only.</summary>
sealed record GraphNode(
    string Name, string Type, string[] Inputs, int Filters, int[]? Kernel, int Stride, int Dilation, int Groups,
    JsonElement Padding, int Features, double Decay, double Epsilon, string? MovingVariance, int Units, int Size,
    bool CountPadding)
{
    /// <summary>Whether there is a layer like it.</summary>
    public bool IsKnown => Type switch
    {
        "conv2d" or "averagePool2d" or "multiplyChannels" or "batchNormalization" or "dense" or "maxPool2d" or "add"
            or "concat" or "globalAveragePool2d" or "relu"
            or "sigmoid" or "relu6" or "silu" or "hardSwish" or "hardSigmoid" => true,
        _ => false,
    };

    int[] Sides => Padding.ValueKind == JsonValueKind.Array
        ? [.. Padding.EnumerateArray().Select(side => side.GetInt32())]
        : [Padding.GetInt32()];

    public Layer ToLayer(bool hasBias) => Type switch
    {
        "conv2d" => new Conv2DLayer(Filters, (Kernel![0], Kernel[1]))
        {
            Stride = Stride,
            Padding = new Padding2D(Sides[0], Sides[1], Sides[2], Sides[3]),
            Dilation = Dilation,
            Groups = Groups,
            UseBias = hasBias,
        },
        "batchNormalization" => new BatchNormalizationLayer(new()
        {
            Momentum = Decay,
            Epsilon = Epsilon,
            VarianceConvention =
                MovingVariance == "sample" ? VarianceConvention.Sample : VarianceConvention.Population,
        }),
        "dense" => new DenseLayer(Units) { UseBias = hasBias },
        "maxPool2d" => new Pool2DLayer(Pooling.Max, Size) { Stride = Stride, Padding = Sides[0] },
        "averagePool2d" => new Pool2DLayer(Pooling.Average, Size)
        {
            Stride = Stride, Padding = Sides[0], CountIncludePad = CountPadding,
        },
        "globalAveragePool2d" => new GlobalAveragePool2DLayer(),
        "add" => new AddLayer(),
        "multiplyChannels" => new MultiplyLayer(),
        "concat" => new ConcatLayer(),
        "relu" => new ActivationLayer(Activation.ReLU),
        "sigmoid" => new ActivationLayer(Activation.Sigmoid),
        "relu6" => new ActivationLayer(Activation.ReLU6),
        "silu" => new ActivationLayer(Activation.SiLU),
        "hardSwish" => new ActivationLayer(Activation.HardSwish),
        "hardSigmoid" => new ActivationLayer(Activation.HardSigmoid),
        _ => throw new InvalidDataException($"The layer '{Type}' is not known."),
    };
}

sealed record GraphParameters(
    float[]? Weight, float[]? Bias, float[]? Gamma, float[]? Beta, double[]? MovingMean, double[]? MovingVariance)
{
    public LayerState ToState() => Weight is not null
        ? new LayerState(Weight, Bias)
        : new LayerState(new BatchNormalizationState(MovingMean, MovingVariance, Gamma, Beta));
}

sealed record GraphOptimizer(
    string Type, double LearningRate, double Momentum, double Beta1, double Beta2, double Epsilon)
{
    public Optimizer ToOptimizer() => Type switch
    {
        "sgd" => new SgdOptimizer { LearningRate = LearningRate, Momentum = Momentum },
        "adam" => new AdamOptimizer { LearningRate = LearningRate, Beta1 = Beta1, Beta2 = Beta2, Epsilon = Epsilon },
        _ => throw new InvalidDataException($"The optimizer '{Type}' is not known."),
    };
}

sealed record GraphBatch(float[] X, float[] Y);

sealed record GraphExpectation(
    double[] Losses, double[]? FirstInputGradient, Dictionary<string, GraphParameters> Parameters,
    GraphInference Inference);

sealed record GraphInference(float[] X, double[] Y);
