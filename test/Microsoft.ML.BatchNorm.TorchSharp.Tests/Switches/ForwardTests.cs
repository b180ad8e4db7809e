using TorchSharp.Modules;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Switches;

/// <summary>Statistics of layers that are run by forward(), where no hook sees what goes in.</summary>
[TestClass]
public class ForwardTests
{
    [TestMethod]
    public void Without_onePass_the_error_names_the_layer_and_says_what_to_do()
    {
        using var scope = torch.NewDisposeScope();
        (Block first, _, _, Sequential root) = FreezeTests.Modules(calls: false);
        root.train();
        foreach (Func<int> recompute in (Func<int>[])[
            () => root.RecomputeStatistics([FreezeTests.Input(1)]),
            () => root.RecomputeStatistics([1], seed => root.call(FreezeTests.Input(seed)))])
        {
            var error = Assert.ThrowsExactly<InvalidOperationException>(() => recompute());
            StringAssert.Contains(error.Message, "'inner.0.norm', 'head.norm'");
            StringAssert.Contains(error.Message, "call()");
            StringAssert.Contains(error.Message, "onePass");
            Assert.IsTrue(first.Norm.training);
        }
    }

    [TestMethod]
    [DataRow(0.1)]
    [DataRow(1.0)]
    [DataRow(0.003)]
    [DataRow(0.0)]
    [DataRow(null)]
    public void One_pass_averages_the_statistics_of_the_batches_whatever_the_momentum(double? momentum)
    {
        foreach ((int height, int width) in (ReadOnlySpan<(int, int)>)[(1, 1), (1, 2), (3, 5), (40, 30)])
        {
            using var scope = torch.NewDisposeScope();
            var module = new ImageBlock(torch.nn.BatchNorm2d(3));
            module.Norm.momentum = momentum;
            module.Norm.running_var!.fill_(float.NaN);
            Tensor[] batches = [Images(1, 6, height, width), Images(2, 2, height, width), Images(3, 5, height, width)];
            module.RecomputeStatistics(batches, onePass: true);
            CheckAverage(module.Norm, batches);
            Assert.AreEqual(3, module.Norm.num_batches_tracked!.item<long>());
            Assert.AreEqual(momentum, module.Norm.momentum);
        }
    }

    [TestMethod]
    public void Batches_of_any_shape_and_rows_that_depend_on_each_other_are_averaged_too()
    {
        using var scope = torch.NewDisposeScope();
        Tensor[] batches = [Images(1, 6, 2, 2), Images(2, 3, 4, 1), Images(3, 1, 3, 3)];
        foreach (Func<Tensor, Tensor> before in
            (Func<Tensor, Tensor>[])[x => x, x => x - x.max(), x => x.narrow(0, 0, 1)])
        {
            var module = new ImageBlock(torch.nn.BatchNorm2d(3), before);
            module.RecomputeStatistics(batches, onePass: true);
            CheckAverage(module.Norm, [.. batches.Select(before)]);
        }
    }

    [TestMethod]
    public void A_layer_that_runs_twice_in_a_batch_averages_all_runs()
    {
        using var scope = torch.NewDisposeScope();
        BatchNorm2d norm = torch.nn.BatchNorm2d(3);
        Tensor x = Images(1, 6, 2, 2);
        Tensor y = torch.nn.functional.batch_norm(x, torch.zeros(3), torch.ones(3), training: true);
        foreach (Func<Tensor, Tensor> first in (Func<Tensor, Tensor>[])[norm.forward, norm.call])
        {
            // If one of the runs is hidden from the hook, what it saw is not all.
            new ImageBlock(norm, first).RecomputeStatistics([x], onePass: true);
            CheckAverage(norm, [x, y]);
            Assert.AreEqual(1, norm.num_batches_tracked!.item<long>());
        }
    }

    [TestMethod]
    public void Layers_that_are_run_by_call_are_exact_beside_others()
    {
        using var scope = torch.NewDisposeScope();
        BatchNorm2d called = torch.nn.BatchNorm2d(3);
        var module = new ImageBlock(torch.nn.BatchNorm2d(3), called.call);
        module.register_module("called", called);
        Tensor[] batches = [Images(1, 6, 2, 2), Images(2, 2, 2, 2)];
        module.RecomputeStatistics(batches, onePass: true);
        (Tensor variance, Tensor mean) = torch.var_mean(torch.cat(batches).to(torch.float64), [0, 2, 3], true);
        Agreement.Within(2e-6, mean.data<double>().ToArray(), FreezeTests.Values(called.running_mean!));
        Agreement.Within(2e-6, variance.data<double>().ToArray(), FreezeTests.Values(called.running_var!));
        CheckAverage(module.Norm, [.. batches.Select(x => torch.nn.functional.batch_norm(
            x, torch.zeros(3), torch.ones(3), training: true))]);
    }

    [TestMethod]
    public void Batches_without_an_average_are_an_error_that_leaves_everything_as_it_was()
    {
        using var scope = torch.NewDisposeScope();
        ImageBlock module = new(torch.nn.BatchNorm2d(3));
        Fails<InvalidDataException>("finite", module, Images(1, 6, 1, 1), Images(1, 6, 1, 1) / 0);
        Fails<InvalidDataException>("single value per channel", module, Images(1, 6, 1, 1), Images(1, 1, 1, 1));
        module.register_module("spare", torch.nn.BatchNorm2d(3));
        Fails<InvalidOperationException>("'spare'", module, Images(1, 6, 2, 2));
        Fails<InvalidOperationException>("'norm', 'spare'", module);
    }

    static void Fails<T>(string says, ImageBlock module, params Tensor[] batches) where T : Exception
    {
        var error = Assert.ThrowsExactly<T>(() => module.RecomputeStatistics(batches, onePass: true));
        StringAssert.Contains(error.Message, says);
        Assert.AreEqual(0.1, module.Norm.momentum);
        Assert.AreEqual(0, module.Norm.num_batches_tracked!.item<long>());
        CollectionAssert.AreEqual(new float[3], FreezeTests.Values(module.Norm.running_mean!));
        CollectionAssert.AreEqual(new float[] { 1, 1, 1 }, FreezeTests.Values(module.Norm.running_var!));
    }

    /// <summary>The averages of the inputs' means and sample variances.</summary>
    internal static void CheckAverage(NormBase norm, Tensor[] inputs)
    {
        (Tensor Variance, Tensor Mean)[] moments =
            [.. inputs.Select(x => x.to(torch.float64).transpose(0, 1).flatten(1).var_mean([1], true))];
        Tensor mean = torch.stack([.. moments.Select(each => each.Mean)]).mean([0]);
        Tensor variance = torch.stack([.. moments.Select(each => each.Variance)]).mean([0]);
        Agreement.Within(2e-6, mean.data<double>().ToArray(), FreezeTests.Values(norm.running_mean!), "mean");
        Agreement.Within(2e-6, variance.data<double>().ToArray(), FreezeTests.Values(norm.running_var!), "variance");
    }

    static Tensor Images(int seed, int rows, int height, int width) =>
        torch.tensor(Sample.Floats(rows * 3 * height * width, seed, mean: 3), [rows, 3, height, width]);

    /// <summary>A batch normalization run by forward() on a function of the input.</summary>
    sealed class ImageBlock : torch.nn.Module<Tensor, Tensor>
    {
        readonly BatchNorm2d norm;
        readonly Func<Tensor, Tensor> before;

        public ImageBlock(BatchNorm2d norm, Func<Tensor, Tensor>? before = null) : base(nameof(ImageBlock))
        {
            this.norm = norm;
            this.before = before ?? (x => x);
            RegisterComponents();
        }

        public BatchNorm2d Norm => norm;

        public override Tensor forward(Tensor x) => norm.forward(before(x)).relu();
    }
}
