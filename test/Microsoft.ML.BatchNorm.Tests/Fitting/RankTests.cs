using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Trainers;
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

    [TestMethod]
    [DataRow("channels")]
    [DataRow("options")]
    [DataRow("order")]
    [DataRow("one column")]
    [DataRow("earlier statistics")]
    [DataRow("slot names")]
    public void Columns_that_are_not_the_same_on_all_ranks_are_an_error_on_all(string difference)
    {
        string[] errors = ThreadCollective.Run(3, collective =>
        {
            bool isOther = collective.Rank == 2;
            var context = new MLContext(1);
            IDataView view = difference switch
            {
                "slot names" => Coded(isOther ? ["b", "a", "c"] : ["a", "b", "c"]),
                "channels" when isOther => Twice(View.Floats(20, 4)),
                _ => Twice(View.Floats(20, 9)),
            };
            InputOutputColumnPair[] columns = [new("X"), new("Y")];
            if (isOther && difference == "order")
                Array.Reverse(columns);
            if (isOther && difference == "one column")
                columns = columns[..1];
            double epsilon = isOther && difference == "options" ? 1e-3 : 1e-5;
            BatchNormalizationEstimator together = Estimator(new CpuEngine(1, collective));
            return Assert.Throws<ArgumentException>(() => difference == "earlier statistics"
                ? together.Fit(view, Estimator(null).Fit(isOther ? Twice(View.Floats(21, 9)) : view))
                : together.Fit(view)).Message;

            BatchNormalizationEstimator Estimator(IStatisticsEngine? engine) =>
                context.Transforms.BatchNormalization(new BatchNormalizationEstimator.Options
                {
                    Columns = columns,
                    Layer = new() { Epsilon = epsilon },
                    Engine = engine,
                });

            IDataView Twice(float[][] rows) =>
                Copied(View.Vectors(View.Dense(rows), rows[0].Length));

            IDataView Coded(string[] order)
            {
                IDataView names = context.Data.LoadFromEnumerable(order.Select(name => new Named { Name = name }));
                return Copied(context.Transforms.Categorical.OneHotEncoding("X", "Name").Fit(names).Transform(names));
            }

            IDataView Copied(IDataView from) => context.Transforms.CopyColumns("Y", "X").Fit(from).Transform(from);
        });

        foreach (string error in errors)
            Assert.Contains("or earlier statistics, on rank 2. Give a step", error);
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Keys_of_each_rank_s_own_are_an_error_on_all(bool isFeature)
    {
        string[] errors = ThreadCollective.Run(2, collective =>
        {
            var context = new MLContext(1);
            Blobs.Row[] own = Blobs.Rows();
            // Rank 1 meets the values in another order, so that each has another key there.
            if (collective.Rank == 1)
                Array.Reverse(own);
            IDataView view = context.Data.LoadFromEnumerable(own);
            Action<BatchNormNetworkTrainerOptions> change = options =>
            {
                options.Engine = new CpuEngine(1, collective);
                options.FeatureColumnName = isFeature ? "Code" : "Features";
            };
            IEstimator<ITransformer> pipeline = isFeature
                ? context.Transforms.Categorical.OneHotEncoding("Code", "Color")
                    .Append(Blobs.Regression(context, change))
                : context.Transforms.Conversion.MapValueToKey("Label", "Color")
                    .Append(Blobs.Multiclass(context, change));
            return Assert.Throws<ArgumentException>(() => pipeline.Fit(view)).Message;
        });

        foreach (string error in errors)
            Assert.Contains("features' slot names differ from those of rank 0 on rank 1. Give a step", error);
    }

    [TestMethod]
    [DataRow("not finite")]
    [DataRow("no rows")]
    [DataRow("no validation rows")]
    [DataRow("a class less")]
    [DataRow("canceled")]
    public void A_trainer_that_fails_on_one_rank_fails_on_all(string fault)
    {
        string[] errors = ThreadCollective.Run(3, collective =>
        {
            bool isOther = collective.Rank == 1;
            var context = new MLContext(1);
            Blobs.Row[] own = Blobs.Rows();
            if (isOther && fault == "not finite")
                own[7].Features[2] = float.NaN;
            IDataView view = Blobs.Keyed(context, own), none = Blobs.Keyed(context, []);
            if (fault == "a class less")
            {
                view = context.Data.LoadFromEnumerable(
                    isOther ? own.Where(row => row.Color != Blobs.Names[2]) : own);
                view = context.Transforms.Conversion.MapValueToKey("Label", "Color").Fit(view).Transform(view);
            }
            using var source = new CancellationTokenSource();
            if (isOther && fault == "canceled")
                source.Cancel();
            BatchNormNetworkMulticlassTrainer trainer = Blobs.Multiclass(context, options =>
            {
                options.Engine = new CpuEngine(1, collective);
                options.NonFinite = NonFinite.Throw;
                options.CancellationToken = source.Token;
                if (fault == "a class less")
                    (options.Network, options.NetworkFactory) = (Network.Input(4).Dense(3), null);
            });
            IDataView train = isOther && fault == "no rows" ? none : view;
            return Assert.Throws<Exception>(() => fault == "no validation rows"
                ? trainer.Fit(train, isOther ? none : view)
                : trainer.Fit(train)).Message;
        });

        Assert.StartsWith("Rank 1: ", errors[0]);
        Assert.StartsWith("Rank 1: ", errors[2]);
    }

    static BatchNormalizationState Fit(MLContext context, IDataView view, IStatisticsEngine engine) =>
        context.Transforms.BatchNormalization(new BatchNormalizationEstimator.Options
        {
            Columns = [new InputOutputColumnPair("X")],
            Engine = engine,
        }).Fit(view).Columns[0].State;

    sealed class Named
    {
        public string Name { get; set; } = "";
    }
}
