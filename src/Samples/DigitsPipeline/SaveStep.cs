using Microsoft.ML;
using Microsoft.ML.Data;

namespace DigitsPipeline;

/// <summary>Saves the chain, and lets a second process predict with it.</summary>
static class SaveStep
{
    public static void Run(MLContext mlContext, ITransformer chain, TextLoader loader, DigitsFiles files)
    {
        string path = files.PathOf("model.zip");
        mlContext.Model.Save(chain, loader, path);
        Show.Heading(
            3, "Save, and load in a second process",
            "The text loader, the layer of FineTune and the classifier go to one file of " +
            $"{new FileInfo(path).Length:N0} bytes. This program starts itself again; the second process loads the " +
            "file, registers nothing, and reads the test rows:");
        IReadOnlyList<string> here = Predictions.Of(chain, loader, files.Test);
        IReadOnlyList<string> there = Show.While(
            "Waiting for the second process", () => Predictions.InSecondProcess(path, files.Test));
        int same = here.Zip(there).Count(pair => pair.First == pair.Second);
        Show.Table(
            ["process", "rows", "digit and ten scores the same"],
            ["this one", $"{here.Count}", ""],
            ["the second", $"{there.Count}", $"{same}"]);
    }
}
