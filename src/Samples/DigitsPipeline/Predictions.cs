using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace DigitsPipeline;

/// <summary>
/// A chain's predictions as text: a line with the digit and the ten scores, every bit of them, for each row.
/// </summary>
static class Predictions
{
    public static IReadOnlyList<string> Of(ITransformer chain, IDataLoader<IMultiStreamSource> loader, string dataPath)
    {
        IDataView predicted = chain.Transform(loader.Load(new MultiFileSource(dataPath)));
        return
        [
            .. predicted.GetColumn<uint>("PredictedLabel").Zip(
                predicted.GetColumn<float[]>("Score"), (key, scores) => $"{key - 1} {string.Join(' ', scores)}"),
        ];
    }

    /// <summary>What the second process does. It knows nothing but the two files.</summary>
    public static void Print(string modelPath, string dataPath)
    {
        ITransformer chain = new MLContext().Model.LoadWithDataLoader(
            modelPath, out IDataLoader<IMultiStreamSource> loader);
        foreach (string line in Of(chain, loader, dataPath))
            Console.WriteLine(line);
    }

    /// <summary>Starts this program a second time to print predictions; gives the lines.</summary>
    public static IReadOnlyList<string> InSecondProcess(string modelPath, string dataPath)
    {
        string program = Environment.ProcessPath!;
        bool isHost = Path.GetFileNameWithoutExtension(program) == "dotnet";
        string[] self = isHost ? [typeof(Predictions).Assembly.Location] : [];
        string[] arguments = [.. self, "--predict", modelPath, dataPath];
        using Process process = Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"The second process ended with exit code {process.ExitCode}.");
        return output.Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
    }
}
