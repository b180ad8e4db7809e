using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>Estimators and trainers of several ranks, each with its own view.</summary>
[TestClass]
public class RankTests
{
    static readonly float[][] rows = View.Floats(1001, 9);

    [TestMethod]
    [DataRow(2)]
    [DataRow(4)]
    public void An_estimator_s_layer_is_that_of_all_rows_on_every_rank(int size)
    {
        BatchNormalizationState one = Fit(new MLContext(1), View.Vectors(View.Dense(rows), 9), new CpuEngine(1));

        BatchNormalizationState[] ranks = ThreadCollective.Run(size, collective =>
        {
            var context = new MLContext(1);
            return Fit(
                context, context.Data.TakeShare(View.Vectors(View.Dense(rows), 9), collective),
                new CpuEngine(1, collective));
        });

        foreach (BatchNormalizationState state in ranks)
            Assert.AreEqual(ranks[0], state);
        for (int c = 0; c < 9; c++)
        {
            Assert.AreEqual(one.MovingMean[c], ranks[0].MovingMean[c], 1e-12);
            Assert.AreEqual(1, ranks[0].MovingVariance[c] / one.MovingVariance[c], 1e-12);
        }
    }

    [TestMethod]
    public void A_rank_may_have_no_rows_if_others_have_some()
    {
        IDataView all = View.Vectors(View.Dense(rows), 9), none = View.Vectors(View.Dense<float>([]), 9);

        BatchNormalizationState[] ranks = ThreadCollective.Run(3, collective => Fit(
            new MLContext(1), collective.Rank == 1 ? all : none, new CpuEngine(1, collective)));

        Assert.AreEqual(ranks[0], ranks[1]);
        Assert.Contains("has no rows", Assert.Throws<InvalidOperationException>(() => ThreadCollective.Run(
            2, collective => Fit(new MLContext(1), none, new CpuEngine(1, collective)))).Message);
    }

    [TestMethod]
    public void A_value_that_is_not_finite_on_one_rank_is_an_error_on_all()
    {
        float[][] wrong = [.. rows];
        wrong[7] = [.. wrong[7].Select(_ => float.NaN)];

        string[] errors = ThreadCollective.Run(3, collective =>
        {
            var context = new MLContext(1);
            return Assert.Throws<InvalidOperationException>(() => Fit(
                context, context.Data.TakeShare(View.Vectors(View.Dense(wrong), 9), collective),
                new CpuEngine(1, collective))).Message;
        });

        Assert.StartsWith("Rank 1: ", errors[0]);
        Assert.Contains("slot 0", errors[2]);
    }

    [TestMethod]
    public void Merged_statistics_make_the_layer_that_a_fit_of_all_rows_makes()
    {
        var context = new MLContext(1);
        IDataView all = View.Vectors(View.Dense(rows), 9);
        BatchNormalizationState fitted = Fit(context, all, new CpuEngine(1));
        PartialStatistics[] parts =
        [
            .. Enumerable.Range(0, 4).Select(shard =>
            {
                float[] values = [.. rows.Where((_, row) => row % 4 == shard).SelectMany(row => row)];
                var statistics = new BatchStatistics(9);
                statistics.Add(new ChannelLayout([values.Length / 9, 9], 1), values);
                return new PartialStatistics($"{shard}", statistics);
            }),
        ];
        BatchStatistics merged = PartialStatistics.Merge(parts);
        var options = new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Population, Epsilon = 0 };
        var layer = new SavedBatchNormalization(
            options, BatchNormalization.Initialize(options, 9).WithPopulation(merged));

        BatchNormalizationTransformer made =
            context.Transforms.BatchNormalization("X", layer, trainable: false).Fit(all);

        for (int c = 0; c < 9; c++)
        {
            Assert.AreEqual(fitted.MovingMean[c], made.Columns[0].State.MovingMean[c], 1e-14);
            Assert.AreEqual(1, made.Columns[0].State.MovingVariance[c] / fitted.MovingVariance[c], 1e-14);
        }
    }

    [TestMethod]
    public void Shares_have_every_row_once_and_their_counts()
    {
        IDataView all = View.Vectors(View.Dense(rows), 9);

        float[][][] shares = ThreadCollective.Run(4, collective =>
        {
            IDataView share = new MLContext(1).Data.TakeShare(all, collective);
            float[][] own = share.Rows<float>("X");
            Assert.AreEqual((long)own.Length, share.GetRowCount() ?? own.Length);
            return own;
        });

        for (int row = 0; row < rows.Length; row++)
            CollectionAssert.AreEqual(rows[row], shares[row % 4][row / 4]);
    }

    [TestMethod]
    [DataRow(3)]
    public void A_regression_on_ranks_follows_that_on_one_process(int size)
    {
        NetworkState one = Train(new MLContext(1), Blobs.View(new MLContext(1)), new CpuEngine(1));

        NetworkState[] ranks = ThreadCollective.Run(size, collective =>
        {
            var context = new MLContext(1);
            return Train(
                context, context.Data.TakeShare(Blobs.View(context), collective), new CpuEngine(1, collective));
        });

        foreach (NetworkState state in ranks)
            Assert.AreEqual(ranks[0], state);
        foreach (string path in one.Paths)
        {
            ReadOnlySpan<float> expected = one[path].Kernel, actual = ranks[0][path].Kernel;
            for (int i = 0; i < expected.Length; i++)
                Assert.AreEqual(expected[i], actual[i], 2e-5f * Math.Max(1, Math.Abs(expected[i])), $"{path}[{i}]");
        }

        static NetworkState Train(MLContext context, IDataView view, ITrainingEngine engine) =>
            Blobs.Regression(context, options =>
            {
                options.Engine = engine;
                options.Epochs = 2;
                options.ValidationSplit = 0.2;
            }).Fit(view).Model.State;
    }

    [TestMethod]
    public void A_share_leaves_the_context_s_seed_as_it_is_so_that_the_network_begins_as_on_one_process()
    {
        NetworkState one = Train(ranks: null);

        NetworkState[] ranks = ThreadCollective.Run(3, Train);

        foreach (string path in one.Paths)
            Agreement.Within(1e-6, Sample.Widen(one[path].Kernel), ranks[2][path].Kernel, path);

        static NetworkState Train(ICollective? ranks)
        {
            var context = new MLContext(1);
            IDataView view = Blobs.View(context);
            if (ranks is not null)
                view = context.Data.TakeShare(view, ranks);
            return Blobs.Multiclass(context, options =>
            {
                options.Engine = new CpuEngine(1, ranks);
                options.Epochs = 1;
                options.Optimizer = Optimizer.Sgd(0.01);
                options.Seed = null;
            }).Fit(view).Model.State;
        }
    }

    static BatchNormalizationState Fit(MLContext context, IDataView view, IStatisticsEngine engine) =>
        context.Transforms.BatchNormalization(new BatchNormalizationEstimator.Options
        {
            Columns = [new InputOutputColumnPair("X")],
            Engine = engine,
        }).Fit(view).Columns[0].State;
}
