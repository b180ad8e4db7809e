using TorchSharp.Modules;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Switches;

/// <summary>Moving statistics of any module, replaced by those of a whole data set.</summary>
[TestClass]
public class RecomputationTests
{
    static Tensor[] Batches => [FreezeTests.Input(1, 30), FreezeTests.Input(2, 7), FreezeTests.Input(3, 20)];

    [TestMethod]
    public void Every_layer_has_the_statistics_of_all_rows_under_those_before_it()
    {
        using var scope = torch.NewDisposeScope();
        (Block first, Block second, Sequential inner, Sequential root) = FreezeTests.Modules(calls: true);
        root.train();
        root.RecomputeStatistics(Batches);
        Assert.IsTrue(root.training && first.Norm.training);

        root.eval();
        Tensor all = torch.cat(Batches);
        var linears = root.modules().OfType<Linear>().OrderByDescending(linear => linear.weight!.shape[0]).ToArray();
        Check(first.Norm, linears[0].call(all));
        Check(second.Norm, linears[1].call(inner.call(all)));
    }

    [TestMethod]
    public void The_size_of_the_batches_makes_no_difference()
    {
        using var scope = torch.NewDisposeScope();
        (_, Block second, _, Sequential root) = FreezeTests.Modules(calls: true);
        root.RecomputeStatistics([torch.cat(Batches)]);
        float[] whole = FreezeTests.Values(second.Norm.running_var!);
        root.RecomputeStatistics(Batches);
        Agreement.Within(1e-6, Sample.Widen(whole), FreezeTests.Values(second.Norm.running_var!));
    }

    [TestMethod]
    public void Frozen_statistics_stay()
    {
        using var scope = torch.NewDisposeScope();
        (Block first, Block second, _, Sequential root) = FreezeTests.Modules(calls: true);
        root.FreezeBatchNormalization(names: ["inner"]);
        root.RecomputeStatistics(Batches);
        CollectionAssert.AreEqual(new float[6], FreezeTests.Values(first.Norm.running_mean!));
        CollectionAssert.AreNotEqual(new float[3], FreezeTests.Values(second.Norm.running_mean!));
    }

    [TestMethod]
    public void Modules_of_other_inputs_are_run_by_the_caller()
    {
        using var scope = torch.NewDisposeScope();
        (_, Block second, _, Sequential root) = FreezeTests.Modules(calls: true);
        root.RecomputeStatistics([1, 2], seed => root.call(FreezeTests.Input(seed)));
        CollectionAssert.AreNotEqual(new float[3], FreezeTests.Values(second.Norm.running_mean!));
    }

    [TestMethod]
    public void Images_have_a_statistic_a_channel()
    {
        using var scope = torch.NewDisposeScope();
        BatchNorm2d norm = torch.nn.BatchNorm2d(3);
        Sequential root = torch.nn.Sequential(norm, torch.nn.ReLU());
        Tensor x = torch.tensor(Sample.Floats(4 * 3 * 5 * 2, 1, mean: 3), [4, 3, 5, 2]);
        root.RecomputeStatistics([x]);
        (Tensor variance, Tensor mean) = torch.var_mean(x.to(torch.float64), [0, 2, 3], true);
        Agreement.Within(1e-6, mean.data<double>().ToArray(), FreezeTests.Values(norm.running_mean!));
        Agreement.Within(1e-6, variance.data<double>().ToArray(), FreezeTests.Values(norm.running_var!));
    }

    [TestMethod]
    public void A_layer_that_hooks_do_not_see_is_an_error_that_names_it_and_changes_no_mode()
    {
        using var scope = torch.NewDisposeScope();
        (Block first, _, _, Sequential root) = FreezeTests.Modules(calls: false);
        root.train();
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => root.RecomputeStatistics(Batches));
        StringAssert.Contains(error.Message, "inner.0.norm");
        StringAssert.Contains(error.Message, "call()");
        Assert.IsTrue(first.Norm.training);
    }

    [TestMethod]
    public void An_input_that_is_not_finite_is_an_error_that_names_the_layer()
    {
        using var scope = torch.NewDisposeScope();
        (_, _, _, Sequential root) = FreezeTests.Modules(calls: true);
        var error = Assert.ThrowsExactly<InvalidDataException>(
            () => root.RecomputeStatistics([FreezeTests.Input(1).mul(float.PositiveInfinity)]));
        StringAssert.Contains(error.Message, "inner.0.norm");
    }

    static void Check(BatchNorm1d norm, Tensor input)
    {
        (Tensor variance, Tensor mean) = torch.var_mean(input.to(torch.float64), [0], true);
        Agreement.Within(1e-6, mean.data<double>().ToArray(), FreezeTests.Values(norm.running_mean!), "mean");
        Agreement.Within(1e-6, variance.data<double>().ToArray(), FreezeTests.Values(norm.running_var!), "variance");
    }
}
