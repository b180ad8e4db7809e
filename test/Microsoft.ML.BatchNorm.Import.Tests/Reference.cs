using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>What ONNX Runtime computes, next to what an imported network does.</summary>
static class Reference
{
    /// <summary>The greatest difference that is allowed, as a share of the greatest output.</summary>
    public const double Tolerance = 1e-5;

    /// <summary>Runs a file on rows.</summary>
    /// <param name="file">The file.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="values">The rows, in the file's own order.</param>
    /// <param name="shape">The shape of a row.</param>
    /// <param name="output">The output; null for the only one.</param>
    public static float[] Run(byte[] file, int rows, float[] values, int[] shape, string? output = null)
    {
        using var options = new SessionOptions
        {
            IntraOpNumThreads = 1, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        using var session = new InferenceSession(file, options);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(values, [rows, .. shape.Select(size => (long)size)]);
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> y = session.Run(
            run, [session.InputNames[0]], [x], [output ?? session.OutputNames.Single()]);
        return y[0].GetTensorDataAsSpan<float>().ToArray();
    }

    /// <summary>Imports a file, and compares the network with ONNX Runtime on random rows.</summary>
    /// <returns>The network.</returns>
    public static SavedNetwork Check(OnnxFile file, TensorShape? inputShape = null)
    {
        byte[] bytes = file.ToBytes();
        SavedNetwork saved = Load(bytes, inputShape);
        const int rows = 3;
        float[] values = Sample.Floats(rows * saved.Network.InputShape.Size, seed: 3, deviation: 2);
        AssertClose(Run(bytes, rows, values, saved.Network.InputShape.Dimensions.ToArray()), saved, values);
        return saved;
    }

    /// <summary>
    /// The network computes these outputs, with batch normalizations folded into other layers and without.
    /// </summary>
    /// <param name="expected">The outputs.</param>
    /// <param name="saved">The network.</param>
    /// <param name="values">The rows.</param>
    /// <param name="what">What is compared.</param>
    /// <param name="end">What the file computes after the network's outputs; null for nothing.</param>
    /// <returns>The greatest difference, as a share of the greatest output.</returns>
    public static double AssertClose(
        float[] expected, SavedNetwork saved, float[] values, string what = "", Converter<float[], float[]>? end = null)
    {
        double greatest = 0;
        foreach (bool folds in (bool[])[true, false])
        {
            float[] actual = new NetworkModel(saved.Network, saved.State, folds).Predict(values);
            greatest = Math.Max(greatest, Difference(expected, end is null ? actual : end(actual), what));
        }
        Assert.IsLessThanOrEqualTo(Tolerance, greatest, $"{what} {saved.Network}");
        return greatest;
    }

    /// <summary>The softmax of each row, or its logarithm.</summary>
    public static float[] Softmax(float[] logits, int classes, bool isLogarithm) =>
    [
        .. logits.Chunk(classes).SelectMany(row =>
        {
            double greatest = row.Max(), sum = row.Sum(value => Math.Exp(value - greatest));
            return row.Select(value => (float)(isLogarithm
                ? value - greatest - Math.Log(sum)
                : Math.Exp(value - greatest) / sum));
        }),
    ];

    public static double Difference(float[] expected, float[] actual, string what = "")
    {
        Assert.HasCount(expected.Length, actual, what);
        double largest = expected.Max(value => Math.Abs((double)value)), difference = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.IsTrue(
                float.IsFinite(expected[i]) && float.IsFinite(actual[i]), $"{expected[i]}, {actual[i]} {what}");
            difference = Math.Max(difference, Math.Abs((double)expected[i] - actual[i]));
        }
        return largest == 0 ? difference : difference / largest;
    }

    public static SavedNetwork Load(byte[] bytes, TensorShape? inputShape = null, string? until = null)
    {
        using var stream = new MemoryStream(bytes);
        return OnnxImport.Load(stream, inputShape, until);
    }
}
