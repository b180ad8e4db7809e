using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace DigitsPipeline;

/// <summary>Saves the chain, and lets a second process predict with it.</summary>
static class SaveStep
{
    public static void Run(MLContext mlContext, ITransformer chain, TextLoader loader, DigitsFolder files)
    {
        string path = files["model.zip"];
        mlContext.Model.Save(chain, loader, path);
        Show.Heading(
            3, "Save, and load in a second process",
            "The text loader, the layer of FineTune and the classifier go to one file of " +
            $"{new FileInfo(path).Length:N0} bytes. This program starts itself again; the second process loads the " +
            "file, registers nothing, and reads the test rows:");
        IReadOnlyList<string> here = Predictions.Of(chain, loader, files["test.csv"]);
        IReadOnlyList<string> there = Show.While(
            "Waiting for the second process", () => Predictions.InSecondProcess(path, files["test.csv"]));
        int same = here.Zip(there).Count(pair => pair.First == pair.Second);
        Show.Table(
            ["process", "rows", "digit and ten scores the same"],
            ["this one", $"{here.Count}", ""],
            ["the second", $"{there.Count}", $"{same}"]);
    }
}

/// <summary>
/// A chain's predictions as text: one line per row, with the digit and all bits of the ten scores.
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

    /// <summary>The work of the second process, which knows only the two files.</summary>
    public static void Print(string modelPath, string dataPath)
    {
        ITransformer chain = new MLContext().Model.LoadWithDataLoader(
            modelPath, out IDataLoader<IMultiStreamSource> loader);
        foreach (string line in Of(chain, loader, dataPath))
            Console.WriteLine(line);
    }

    /// <summary>Starts this program a second time to print predictions, and returns the lines.</summary>
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
