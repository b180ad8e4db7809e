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
            return View.ML.Data.Cache(View.ML.Data.LoadFromBinary(Transform(model, data)));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Transforms a binary data file, and gives the path of the result beside it.</summary>
    public static string Transform(string model, string input)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "Microsoft.ML.BatchNorm.FreshProcess.dll");
        string output = Path.ChangeExtension(input, ".out.idv");
        var start = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", ["exec", program, model, input, output])
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
