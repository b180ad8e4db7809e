using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Exact statistics stay exact through models that are saved.</summary>
[TestClass]
public class CarriedExactnessTests
{
    const int Rows = 20_000, Shards = 50, Columns = 8;
    const double Tolerance = 1e-14;

    static readonly double[] x = Sample.Doubles(Rows * Columns, 1, 1e6, 1e-2);
    static readonly ExactMoments exact = ExactMoments.Of(x, Columns, 1_000_000, 33);

    [TestMethod]
    public void A_model_that_is_saved_and_fine_tuned_again_and_again_has_the_exact_statistics()
    {
        BatchNormalizationTransformer? model = null;
        for (int shard = 0; shard < Shards; shard++)
        {
            IDataView view = Shard(shard);
            model = model is null
                ? View.ML.Transforms.BatchNormalization("Y", "X").Fit(view)
                : ((BatchNormalizationTransformer)Model.Reload(model, view.Schema)).FineTune(view);
        }
        exact.AssertClose(Tolerance, model!.GetState("Y").GetPopulation()!);
    }

    [TestMethod]
    public void Shards_that_were_fitted_and_saved_apart_merge_to_the_exact_statistics()
    {
        var merged = new BatchStatistics(Columns);
        for (int shard = 0; shard < Shards; shard++)
        {
            IDataView view = Shard(shard);
            var loaded = (BatchNormalizationTransformer)Model.Reload(
                View.ML.Transforms.BatchNormalization("Y", "X").Fit(view), view.Schema);
            merged.Merge(loaded.GetState("Y").GetPopulation()!);
        }
        exact.AssertClose(Tolerance, merged);
    }

    static IDataView Shard(int shard)
    {
        const int values = Rows / Shards * Columns;
        return View.Vectors(View.Dense([.. x[(shard * values)..((shard + 1) * values)].Chunk(Columns)]), Columns);
    }
}
