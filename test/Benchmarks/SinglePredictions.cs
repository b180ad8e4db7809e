using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// Outputs of one row and of many, beside what PyTorch takes for one row (2.x, one thread, <c>inference_mode</c>; 25,
/// 28 and 125 µs).
/// </summary>
static class SinglePredictions
{
    // Short against a time slice, so that most rounds are not interrupted where others work as well.
    const double RoundSeconds = 0.0005;
    const int Rounds = 501;

    public static void Print()
    {
        One("4-64-64-3", 25, Network.Input(4).Dense(64).BatchNormalization().ReLU()
            .Dense(64).BatchNormalization().ReLU().Dense(3));
        One("64-128-64-10", 28, Network.Input(64).Dense(128).BatchNormalization().ReLU()
            .Dense(64).BatchNormalization().ReLU().Dense(10));
        One("784-512-256-10", 125, Network.Input(784).Dense(512).BatchNormalization().ReLU()
            .Dense(256).BatchNormalization().ReLU().Dense(10));
    }

    static void One(string name, double torchMicroseconds, Network network)
    {
        string title = $"prediction {name}";
        if (!title.Contains(Comparison.Filter, StringComparison.OrdinalIgnoreCase))
            return;
        var model = new NetworkModel(network, network.Initialize(1));
        double one = Microseconds(model, 1), many = Microseconds(model, 1000) / 1000;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{title} one row={one:F3} µs, a row of 1000={many:F3} µs, PyTorch's one row={torchMicroseconds} µs "
            + $"ratio of times={one / torchMicroseconds:F4}"));
    }

    static double Microseconds(NetworkModel model, int rows)
    {
        var random = new Random(1);
        float[] features = new float[rows * model.Network.InputShape.Size];
        float[] outputs = new float[rows * model.Network.OutputShape.Size];
        for (int i = 0; i < features.Length; i++)
            features[i] = random.NextSingle();
        Warm(model, features, outputs);
        int count = 1;
        while (Seconds(model, features, outputs, count) < RoundSeconds)
            count *= 2;
        double[] times = new double[Rounds];
        for (int round = 0; round < Rounds; round++)
            times[round] = Seconds(model, features, outputs, count);
        Array.Sort(times);
        return times[Rounds / 2] / count * 1e6;
    }

    static void Warm(NetworkModel model, float[] features, float[] outputs)
    {
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalSeconds < 0.4;)
            model.Predict(features, outputs);
    }

    static double Seconds(NetworkModel model, float[] features, float[] outputs, int count)
    {
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < count; i++)
            model.Predict(features, outputs);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
