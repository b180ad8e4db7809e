using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.ML;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;
using Pool = Microsoft.Extensions.ML.PredictionEnginePool<
    Microsoft.ML.BatchNorm.Tests.Pipelines.Digits.Image, Microsoft.ML.BatchNorm.Tests.Pipelines.Digits.Normalized>;

namespace Microsoft.ML.BatchNorm.Tests.Pipelines;

/// <summary>ML.NET's pool of prediction engines, which web applications serve with, over files of models.</summary>
[TestClass]
public class PredictionEnginePoolTests
{
    const int Rows = 64, ThreadCount = 16, Rounds = 40;

    static readonly IDataView Data = View.ML.Data.TakeRows(Digits.Load(), Rows);

    static readonly Digits.Image[] Images =
        [.. View.ML.Data.CreateEnumerable<Digits.Image>(Data, reuseRowObject: false)];

    static readonly BatchNormalizationTransformer Fitted =
        View.ML.Transforms.BatchNormalization("Features", "Pixels").Fit(Data);

    static readonly BatchNormalizationTransformer Tuned =
        Fitted.FineTune(View.ML.Data.TakeRows(Digits.Load(), 200));

    static readonly float[][] OfFitted = Fitted.Transform(Data).Rows<float>("Features"),
        OfTuned = Tuned.Transform(Data).Rows<float>("Features");

    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory();

    string FilePath => Path.Combine(folder.FullName, "model.zip");

    [TestInitialize]
    public void Write() => View.ML.Model.Save(Fitted, Data.Schema, FilePath);

    [TestCleanup]
    public void Delete() => folder.Delete(recursive: true);

    [TestMethod]
    public void Every_prediction_of_sixteen_threads_has_the_bits_of_Transform()
    {
        using ServiceProvider services = Serve(watchForChanges: false);
        var pool = services.GetRequiredService<Pool>();
        Threads.Run(ThreadCount, thread =>
        {
            for (int i = 0; i < Rounds; i++)
            {
                int row = (thread * Rounds + i) % Rows;
                Agreement.SameBits<float>(OfFitted[row], pool.Predict(Images[row]).Features, $"row {row}");
            }
        });
    }

    [TestMethod]
    public void Models_of_two_names_are_served_side_by_side()
    {
        string tuned = Path.Combine(folder.FullName, "tuned.zip");
        View.ML.Model.Save(Tuned, Data.Schema, tuned);
        var collection = new ServiceCollection();
        collection.AddPredictionEnginePool<Digits.Image, Digits.Normalized>()
            .FromFile("fitted", FilePath).FromFile("tuned", tuned);
        using ServiceProvider services = collection.BuildServiceProvider();
        var pool = services.GetRequiredService<Pool>();
        for (int row = 0; row < Rows; row++)
        {
            Agreement.SameBits<float>(OfFitted[row], pool.Predict("fitted", Images[row]).Features);
            Agreement.SameBits<float>(OfTuned[row], pool.Predict("tuned", Images[row]).Features);
        }
    }

    [TestMethod]
    public void A_file_that_is_written_anew_under_load_is_served_from_then_on_and_never_in_part()
    {
        using ServiceProvider services = Serve(watchForChanges: true);
        var pool = services.GetRequiredService<Pool>();
        // The pool loads its model, and begins to watch the file, when it is first asked.
        Agreement.SameBits<float>(OfFitted[0], pool.Predict(Images[0]).Features);
        // The pool gives a file up that is written for more than five seconds.
        string tuned = Path.Combine(folder.FullName, "tuned.zip");
        View.ML.Model.Save(Tuned, Data.Schema, tuned);
        byte[] file = File.ReadAllBytes(tuned);
        var patience = TimeSpan.FromMinutes(1);
        long start = Environment.TickCount64;
        Threads.Run(ThreadCount, thread =>
        {
            if (thread == 0)
                File.WriteAllBytes(FilePath, file);
            for (int i = 0; ; i++)
            {
                int row = (thread + i) % Rows;
                float[] features = pool.Predict(Images[row]).Features;
                bool isTuned = features.AsSpan().SequenceEqual(OfTuned[row]);
                Assert.IsTrue(
                    isTuned || features.AsSpan().SequenceEqual(OfFitted[row]), $"row {row} is of neither model");
                if (isTuned)
                    return;
                Thread.Sleep(1);
                Assert.IsTrue(
                    Environment.TickCount64 - start < patience.TotalMilliseconds, "The file was not reloaded.");
            }
        });
    }

    ServiceProvider Serve(bool watchForChanges)
    {
        var collection = new ServiceCollection();
        collection.AddPredictionEnginePool<Digits.Image, Digits.Normalized>().FromFile(FilePath, watchForChanges);
        return collection.BuildServiceProvider();
    }
}
