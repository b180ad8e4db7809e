using Microsoft.ML;
using Microsoft.ML.Data;

namespace GpuTraining;

/// <summary>Saves the model, loads it, and predicts without libtorch.</summary>
static class ServeStep
{
    public static void Run(MLContext mlContext, ITransformer model, IDataView test, string path)
    {
        mlContext.Model.Save(model, test.Schema, path);
        ITransformer loaded = mlContext.Model.Load(path, out _);
        bool same = Scores(model, test).SequenceEqual(Scores(loaded, test));
        Show.Heading(
            3, "Serving",
            $"Saved by ML.NET ({new FileInfo(path).Length / 1024:N0} KiB), loaded, and run on the test "
            + "digits. A process that serves it needs only Microsoft.ML.BatchNorm.");
        Show.Text($"The same scores to the last bit: {Show.YesNo(same)}.");
    }

    static float[] Scores(ITransformer model, IDataView test) =>
        [.. model.Transform(test).GetColumn<float[]>("Score").SelectMany(row => row)];
}
