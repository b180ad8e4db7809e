using Microsoft.Extensions.ObjectPool;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Pipelines;

/// <summary>
/// Prediction engines that go from thread to thread, as those of ML.NET's PredictionEnginePool do: it keeps them in the
/// pool that is used here, made by the same policy, and exchanges the pool when the model is loaded anew.
/// </summary>
[TestClass]
public class PredictionPoolTests
{
    const int Threads = 16, Rows = 64, Rounds = 40;

    static readonly IDataView Data = View.ML.Data.TakeRows(Digits.Load(), Rows);

    static readonly Digits.Image[] Images =
        [.. View.ML.Data.CreateEnumerable<Digits.Image>(Data, reuseRowObject: false)];

    static readonly BatchNormalizationTransformer Fitted =
        View.ML.Transforms.BatchNormalization("Features", "Pixels").Fit(Data);

    [TestMethod]
    public void Every_prediction_of_sixteen_threads_has_the_bits_of_Transform()
    {
        float[][] expected = Fitted.Transform(Data).Rows<float>("Features");
        ObjectPool<PredictionEngine<Digits.Image, Digits.Normalized>> pool = Pool(Fitted);
        Run((thread, round) =>
        {
            int row = (thread * Rounds + round) % Rows;
            Agreement.SameBits<float>(expected[row], Predict(pool, row), $"row {row}");
        });
    }

    [TestMethod]
    public void Every_engine_serves_every_thread()
    {
        float[][] expected = Fitted.Transform(Data).Rows<float>("Features");
        var engines = Enumerable.Range(0, Threads).Select(_ => new Policy(View.ML, Fitted).Create()).ToArray();
        using var barrier = new Barrier(Threads);
        Run((thread, round) =>
        {
            int row = (thread * Rounds + round) % Rows;
            try
            {
                Agreement.SameBits<float>(
                    expected[row], engines[(thread + round) % Threads].Predict(Images[row]).Features, $"row {row}");
            }
            finally
            {
                barrier.SignalAndWait();
            }
        });
    }

    [TestMethod]
    public void A_model_that_is_exchanged_under_load_gives_one_model_s_bits_or_the_other_s()
    {
        BatchNormalizationTransformer tuned = Fitted.FineTune(View.ML.Data.TakeRows(Digits.Load(), 200));
        BatchNormalizationTransformer[] models =
            [Fitted, (BatchNormalizationTransformer)Persistence.Model.Reload(tuned, Data.Schema)];
        float[][][] expected = Array.ConvertAll(models, model => model.Transform(Data).Rows<float>("Features"));
        CollectionAssert.AreNotEqual(expected[0][0], expected[1][0]);
        ObjectPool<PredictionEngine<Digits.Image, Digits.Normalized>> pool = Pool(models[0]);
        Run((thread, round) =>
        {
            if (thread == 0 && round % 4 == 0)
                Interlocked.Exchange(ref pool, Pool(models[round / 4 % 2]));
            int row = (thread * Rounds + round) % Rows;
            float[] actual = Predict(Volatile.Read(ref pool), row);
            Assert.IsTrue(expected.Any(rows => rows[row].SequenceEqual(actual)), $"row {row} is of neither model");
        });
    }

    static float[] Predict(ObjectPool<PredictionEngine<Digits.Image, Digits.Normalized>> pool, int row)
    {
        PredictionEngine<Digits.Image, Digits.Normalized> engine = pool.Get();
        try
        {
            return engine.Predict(Images[row]).Features;
        }
        finally
        {
            pool.Return(engine);
        }
    }

    static DefaultObjectPool<PredictionEngine<Digits.Image, Digits.Normalized>> Pool(ITransformer model) =>
        new(new Policy(View.ML, model));

    static void Run(Action<int, int> predict)
    {
        var failures = new List<Exception>();
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(thread => new Thread(() =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                try
                {
                    predict(thread, round);
                }
                catch (Exception error)
                {
                    lock (failures)
                        failures.Add(error);
                }
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.AreEqual(0, failures.Count, failures.FirstOrDefault()?.ToString());
    }

    sealed class Policy(MLContext context, ITransformer model)
        : PooledObjectPolicy<PredictionEngine<Digits.Image, Digits.Normalized>>
    {
        public override PredictionEngine<Digits.Image, Digits.Normalized> Create() =>
            context.Model.CreatePredictionEngine<Digits.Image, Digits.Normalized>(model);

        public override bool Return(PredictionEngine<Digits.Image, Digits.Normalized> obj) => true;
    }
}
