using System.Diagnostics;
using Microsoft.ML.BatchNorm.Tests.Transformer;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Runs the test program that loads models and names no type of this library.</summary>
static class FreshProcess
{
    /// <summary>Saves a transformer and its data, and gives what the other process makes of them.</summary>
    public static IDataView Transform(ITransformer transformer, IDataView input)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("fresh-");
        try
        {
            string model = Path.Combine(folder.FullName, "model.zip"), data = Path.Combine(folder.FullName, "in.idv");
            View.ML.Model.Save(transformer, input.Schema, model);
            using (FileStream file = File.Create(data))
                View.ML.Data.SaveAsBinary(input, file);
            return View.ML.Data.LoadFromBinary(new BytesSource(File.ReadAllBytes(Transform(model, data))));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Transforms a binary data file, and gives the path of the result beside it.</summary>
    public static string Transform(string model, string input) =>
        Run("transform", model, input, Path.ChangeExtension(input, ".out.idv"));

    /// <summary>Fine-tunes a model with a binary data file, and gives the path of the model beside the file.</summary>
    public static string FineTune(string model, string input) =>
        Run("fine-tune", model, input, Path.ChangeExtension(input, ".out.zip"));

    static string Run(string work, string model, string input, string output)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "FreshProcess.dll");
        var start = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            ["exec", program, work, model, input, output])
        {
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, errors);
        return output;
    }
}
