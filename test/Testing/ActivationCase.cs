using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>The activations' values, and slopes where the framework gives them, in a file of test/parity.</summary>
sealed record ActivationFile(
    int Format, string Kind, string Oracle, Dictionary<string, double> Tolerance, ActivationCase[] Cases)
{
    static readonly JsonSerializerOptions strict = new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        PropertyNameCaseInsensitive = false,
        Converters = { new JsonStringEnumConverter<Activation>() },
    };

    public static string[] Names { get; } = ["torch-activations.json", "keras-activations.json"];

    public static ActivationFile Read(string name)
    {
        using FileStream stream = File.OpenRead(Path.Combine(AppContext.BaseDirectory, "parity", name));
        ActivationFile file = JsonSerializer.Deserialize<ActivationFile>(stream, strict)!;
        Assert.AreEqual((1, "activation"), (file.Format, file.Kind));
        return file;
    }

    /// <summary>Compares an engine and <see cref="NetworkModel"/> with every case.</summary>
    public void Check(ITrainingEngine engine)
    {
        CollectionAssert.AreEquivalent(
            Enum.GetValues<Activation>(), Cases.Select(each => each.Function).Distinct().ToArray());
        foreach (ActivationCase each in Cases)
        {
            ActivationLayer layer = new(each.Function) { NegativeSlope = each.NegativeSlope };
            Agree(each.Y, ActivationProbe.Served(layer, each.X), Tolerance["output"], $"{layer}, served");
            Agree(each.Y, ActivationProbe.Values(engine, layer, each.X), Tolerance["output"], $"{layer}");
            foreach (bool isFused in each.Dx is null ? [] : new[] { true, false })
            {
                Agree(
                    each.Dx!, ActivationProbe.Slopes(engine, layer, each.X, isFused), Tolerance["gradient"],
                    $"slope of {layer}, fused: {isFused}");
            }
        }

        void Agree(double[] expected, float[] actual, double tolerance, string what)
        {
            Assert.AreEqual(expected.Length, actual.Length, what);
            for (int i = 0; i < expected.Length; i++)
                Assert.AreEqual(expected[i], actual[i], tolerance * Math.Max(1, Math.Abs(expected[i])), $"{what}, {i}");
        }
    }
}

sealed record ActivationCase(Activation Function, double? NegativeSlope, float[] X, double[] Y, double[]? Dx);

/// <summary>What an activation makes of single values.</summary>
static class ActivationProbe
{
    public static float[] Served(ActivationLayer layer, float[] x)
    {
        Network network = Network.Input(x.Length).Add(layer);
        return new NetworkModel(network, network.Initialize()).Predict(x);
    }

    /// <summary>By an engine, also of values that are not finite: a normalization before it ignores these.</summary>
    public static float[] Values(ITrainingEngine engine, ActivationLayer layer, float[] x)
    {
        Network network = Fixed(x.Length, isFused: false).Add(layer);
        float[] y = new float[x.Length];
        using ITrainingSession session = Start(engine, network, x, y);
        session.Predict(x, y);
        return y;
    }

    /// <summary>
    /// The slopes at finite values: one step on outputs whose own gradient is 1 moves β of a fixed map by them.
    /// </summary>
    /// <param name="engine">What trains.</param>
    /// <param name="layer">The activation.</param>
    /// <param name="x">The values.</param>
    /// <param name="isFused">Whether nothing is between the map and the activation.</param>
    public static float[] Slopes(ITrainingEngine engine, ActivationLayer layer, float[] x, bool isFused)
    {
        Network network = Fixed(x.Length, isFused).Add(layer);
        float[] targets = Array.ConvertAll(Served(layer, x), y => y - x.Length / 2f);
        using ITrainingSession session = Start(engine, network, x, targets);
        session.TrainOnBatch([0], 1);
        LayerState state = session.GetState()["batch_normalization"];
        return Array.ConvertAll(state.BatchNormalization!.Beta.ToArray(), beta => -beta);
    }

    static ITrainingSession Start(ITrainingEngine engine, Network network, float[] x, float[] targets) => engine.Start(
        network, network.Initialize(),
        new TrainingOptions { Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd(1) },
        new TrainingData(1, x, targets));

    static Network Fixed(int width, bool isFused)
    {
        Network network = Network.Input(width).BatchNormalization(new()
        {
            Epsilon = 0, UpdateStatistics = false, NonFinite = NonFinite.Ignore,
        });
        return isFused ? network : network.Dropout(0);
    }
}
