using TorchSharp.Modules;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Switches;

/// <summary>Statistics of layers that are run by forward(), where no hook sees what goes in.</summary>
[TestClass]
public class HiddenInputTests
{
    [TestMethod]
    [DataRow(0.1)]
    [DataRow(1.0)]
    [DataRow(0.003)]
    [DataRow(0.0)]
    [DataRow(null)]
    public void Images_of_any_number_of_pixels_are_exact_whatever_the_momentum(double? momentum)
    {
        foreach ((int height, int width) in (ReadOnlySpan<(int, int)>)[(1, 1), (1, 2), (3, 5), (40, 30)])
        {
            using var scope = torch.NewDisposeScope();
            var module = new ImageBlock(torch.nn.BatchNorm2d(3));
            module.Norm.momentum = momentum;
            Tensor[] batches = [Images(1, 6, height, width), Images(2, 2, height, width), Images(3, 5, height, width)];
            module.RecomputeStatistics(batches);
            (Tensor variance, Tensor mean) = torch.var_mean(torch.cat(batches).to(torch.float64), [0, 2, 3], true);
            Agreement.Within(2e-6, mean.data<double>().ToArray(), FreezeTests.Values(module.Norm.running_mean!));
            Agreement.Within(2e-6, variance.data<double>().ToArray(), FreezeTests.Values(module.Norm.running_var!));
            Assert.AreEqual(3, module.Norm.num_batches_tracked!.item<long>());
            Assert.AreEqual(momentum, module.Norm.momentum);
        }
    }

    [TestMethod]
    public void Rows_that_do_not_stand_on_their_own_are_an_error()
    {
        using var scope = torch.NewDisposeScope();
        Fails<InvalidOperationException>(
            "own", new ImageBlock(torch.nn.BatchNorm2d(3), x => x - x.max()), Images(1, 6, 2, 2));
        Fails<InvalidOperationException>(
            "own", new ImageBlock(torch.nn.BatchNorm2d(3), x => x.narrow(0, 0, 2)), Images(1, 6, 2, 2));
    }

    [TestMethod]
    public void Batches_that_do_not_tell_how_many_values_there_are_are_errors()
    {
        using var scope = torch.NewDisposeScope();
        ImageBlock module = new(torch.nn.BatchNorm2d(3));
        Fails<InvalidOperationException>("4 rows", module, Images(1, 3, 2, 2));
        Fails<InvalidOperationException>("shape", module, Images(1, 6, 2, 2), Images(1, 6, 2, 3));
        Fails<InvalidDataException>("single value", module, Images(1, 6, 1, 1), Images(1, 1, 1, 1));
        Fails<InvalidDataException>("finite", module, Images(1, 6, 1, 1), Images(1, 6, 1, 1) / 0);
        Fails<InvalidOperationException>("own", module, torch.ones(6, 3, 2, 2));
    }

    [TestMethod]
    public void A_layer_that_runs_twice_and_one_that_never_runs_are_errors()
    {
        using var scope = torch.NewDisposeScope();
        BatchNorm2d norm = torch.nn.BatchNorm2d(3);
        Fails<InvalidOperationException>("2 times", new ImageBlock(norm, norm.forward), Images(1, 6, 2, 2));
        ImageBlock module = new(torch.nn.BatchNorm2d(3));
        module.register_module("spare", torch.nn.BatchNorm2d(3));
        Fails<InvalidOperationException>("'spare'", module, Images(1, 6, 2, 2));
    }

    [TestMethod]
    public void Batches_that_are_no_tensors_take_layers_run_by_call()
    {
        using var scope = torch.NewDisposeScope();
        (Block first, _, _, Sequential root) = FreezeTests.Modules(calls: false);
        root.train();
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => root.RecomputeStatistics([1], seed => root.call(FreezeTests.Input(seed))));
        StringAssert.Contains(error.Message, "inner.0.norm");
        StringAssert.Contains(error.Message, "call()");
        Assert.IsTrue(first.Norm.training);
    }

    static void Fails<T>(string says, torch.nn.Module<Tensor, Tensor> module, params Tensor[] batches)
        where T : Exception
    {
        foreach (bool onePass in (ReadOnlySpan<bool>)[false, true])
        {
            var error = Assert.ThrowsExactly<T>(() => module.RecomputeStatistics(batches, onePass));
            StringAssert.Contains(error.Message, says);
            Assert.IsTrue(module.modules().Prepend(module).OfType<BatchNorm2d>().All(norm => norm.momentum == 0.1));
        }
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
