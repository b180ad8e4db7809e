using System.Diagnostics;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Pipelines;

/// <summary>
/// What is trained here by ML.NET's trainers and estimators is saved, and served where there is no TorchSharp.
/// </summary>
[TestClass]
public class ServingTests
{
    [TestMethod]
    public void A_trained_network_is_served_by_a_process_that_has_no_TorchSharp()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        var model = Blobs.Multiclass(context, options => options.Engine = new TorchEngine("cpu")).Fit(view);
        Assert.IsTrue(context.MulticlassClassification.Evaluate(model.Transform(view)).MicroAccuracy > 0.97);

        DirectoryInfo folder = Directory.CreateTempSubdirectory("served-");
        try
        {
            string file = Path.Combine(folder.FullName, "model.zip"), input = Path.Combine(folder.FullName, "in.idv");
            context.Model.Save(model, view.Schema, file);
            using (FileStream stream = File.Create(input))
                context.Data.SaveAsBinary(view, stream);
            string output = Path.Combine(folder.FullName, "out.idv");
            Serve(file, input, output);
            IDataView served = context.Data.LoadFromBinary(output);
            float[][] expected = [.. model.Transform(view).GetColumn<float[]>("Score")];
            float[][] scores = [.. served.GetColumn<float[]>("Score")];
            for (int row = 0; row < expected.Length; row++)
                CollectionAssert.AreEqual(expected[row], scores[row]);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    public void An_estimator_fits_with_the_engine_that_it_is_given()
    {
        var context = new MLContext(1);
        IDataView view = Blobs.View(context);
        BatchNormalizationState Fit(IStatisticsEngine engine) => context.Transforms.BatchNormalization(
            new BatchNormalizationEstimator.Options
            {
                Columns = [new InputOutputColumnPair("Normalized", "Features")], Engine = engine,
            }).Fit(view).GetState("Normalized");
        BatchNormalizationState core = Fit(new CpuEngine()), torch = Fit(new TorchEngine("cpu"));
        Agreement.Within(1e-6, core.MovingMean, torch.MovingMean);
        Agreement.Within(1e-6, core.MovingVariance, torch.MovingVariance);
    }

    static void Serve(string model, string input, string output)
    {
        string folder = AppContext.BaseDirectory.Replace(
            typeof(ServingTests).Assembly.GetName().Name!, "FreshProcess",
            StringComparison.Ordinal);
        string program = Path.Combine(folder, "FreshProcess.dll");
        Assert.IsTrue(File.Exists(program), program);
        Assert.IsFalse(File.Exists(Path.Combine(folder, "TorchSharp.dll")));
        var start = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            ["exec", program, "transform", model, input, output])
        {
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, errors);
    }
}
