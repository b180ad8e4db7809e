using TorchSharp.Modules;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Switches;

/// <summary>Frozen batch normalizations of any module stay frozen until they are unfrozen.</summary>
[TestClass]
public class FreezeTests
{
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Train_on_any_parent_leaves_frozen_statistics_unchanged(bool calls)
    {
        using var scope = torch.NewDisposeScope();
        (Block first, Block second, Sequential inner, Sequential root) = Modules(calls);
        root.train();
        Assert.AreEqual(2, root.FreezeBatchNormalization());
        float[] before = Values(first.Norm.running_mean!), other = Values(second.Norm.running_var!);
        foreach (torch.nn.Module module in new torch.nn.Module[] { root, inner, first, first.Norm })
        {
            root.eval();
            module.train();
            Assert.IsFalse(first.Norm.training, $"{module.GetName()}.train()");
            root.train();
            Assert.IsTrue(root.training);
            Assert.IsFalse(second.Norm.training);
            root.call(Input(7));
            root.forward(Input(8));
        }
        CollectionAssert.AreEqual(before, Values(first.Norm.running_mean!));
        CollectionAssert.AreEqual(other, Values(second.Norm.running_var!));
    }

    [TestMethod]
    public void Frozen_statistics_are_used_in_training_mode_too()
    {
        using var scope = torch.NewDisposeScope();
        (Block first, _, _, Sequential root) = Modules(calls: true);
        root.eval();
        float[] expected = Values(first.call(Input(3)));
        root.FreezeBatchNormalization(trainAffine: true);
        root.train();
        CollectionAssert.AreEqual(expected, Values(first.call(Input(3))));
    }

    [TestMethod]
    public void Statistics_and_parameters_can_each_be_frozen_alone()
    {
        using var scope = torch.NewDisposeScope();
        (Block first, _, _, Sequential root) = Modules(calls: true);
        root.FreezeBatchNormalization(updateStatistics: true, trainAffine: false);
        root.train();
        Assert.IsTrue(first.Norm.training);
        Assert.IsFalse(first.Norm.weight!.requires_grad);
        Assert.IsFalse(first.Norm.bias!.requires_grad);
        root.FreezeBatchNormalization(updateStatistics: false, trainAffine: true);
        root.train();
        Assert.IsFalse(first.Norm.training);
        Assert.IsTrue(first.Norm.weight!.requires_grad);
        root.FreezeBatchNormalization(updateStatistics: true, trainAffine: true);
        root.train();
        Assert.IsTrue(first.Norm.training);
    }

    [TestMethod]
    public void Frozen_gamma_and_beta_do_not_learn_and_the_others_do()
    {
        using var scope = torch.NewDisposeScope();
        (Block first, Block second, _, Sequential root) = Modules(calls: true);
        root.FreezeBatchNormalization(names: ["inner.0.norm"]);
        root.train();
        float[] gamma = Values(first.Norm.weight!), other = Values(second.Norm.weight!);
        var optimizer = torch.optim.SGD(root.parameters().Where(parameter => parameter.requires_grad), 0.1);
        root.call(Input(1)).pow(2).sum().backward();
        optimizer.step();
        CollectionAssert.AreEqual(gamma, Values(first.Norm.weight!));
        CollectionAssert.AreNotEqual(other, Values(second.Norm.weight!));
    }

    [TestMethod]
    [DataRow("inner", true, false)]
    [DataRow("inner.0", true, false)]
    [DataRow("*.norm", true, true)]
    [DataRow("head.norm", false, true)]
    [DataRow("hea?", false, true)]
    [DataRow("*", true, true)]
    public void Names_and_patterns_select_layers(string name, bool isFirst, bool isSecond)
    {
        using var scope = torch.NewDisposeScope();
        (Block first, Block second, _, Sequential root) = Modules(calls: true);
        root.FreezeBatchNormalization(names: [name]);
        root.train();
        Assert.AreEqual(isFirst, !first.Norm.training);
        Assert.AreEqual(isSecond, !second.Norm.training);
    }

    [TestMethod]
    public void A_name_that_matches_no_layer_is_an_error_that_lists_the_layers()
    {
        using var scope = torch.NewDisposeScope();
        (_, _, _, Sequential root) = Modules(calls: true);
        var error = Assert.ThrowsExactly<ArgumentException>(() => root.FreezeBatchNormalization(names: ["norm"]));
        StringAssert.Contains(error.Message, "'norm'");
        StringAssert.Contains(error.Message, "inner.0.norm");
        Assert.ThrowsExactly<ArgumentException>(() => root.UnfreezeBatchNormalization(["inner.0.linear"]));
    }

    [TestMethod]
    public void Unfreezing_restores_what_was_before()
    {
        using var scope = torch.NewDisposeScope();
        (Block first, Block second, _, Sequential root) = Modules(calls: false);
        second.Norm.bias!.requires_grad = false;
        root.train();
        root.FreezeBatchNormalization();
        Assert.AreEqual(1, root.UnfreezeBatchNormalization(["inner"]));
        Assert.IsTrue(first.Norm.training);
        Assert.IsTrue(first.Norm.weight!.requires_grad);
        Assert.IsFalse(second.Norm.training);
        Assert.AreEqual(1, root.UnfreezeBatchNormalization());
        Assert.IsTrue(second.Norm.training);
        Assert.IsTrue(second.Norm.weight!.requires_grad);
        Assert.IsFalse(second.Norm.bias!.requires_grad);
        Assert.AreEqual(0, root.UnfreezeBatchNormalization());
        float[] before = Values(first.Norm.running_mean!);
        root.forward(Input(1));
        CollectionAssert.AreNotEqual(before, Values(first.Norm.running_mean!));
    }

    [TestMethod]
    public void A_single_batch_normalization_can_be_frozen_and_its_state_dict_keeps_its_names()
    {
        using var scope = torch.NewDisposeScope();
        BatchNorm2d norm = torch.nn.BatchNorm2d(3);
        string[] names = [.. norm.state_dict().Keys];
        Assert.AreEqual(1, norm.FreezeBatchNormalization());
        norm.train();
        Assert.IsFalse(norm.training);
        CollectionAssert.AreEqual(names, norm.state_dict().Keys.ToArray());
        Assert.AreEqual(1, torch.nn.BatchNorm3d(2).FreezeBatchNormalization());
        Assert.AreEqual(0, torch.nn.Linear(2, 2).FreezeBatchNormalization());
    }

    internal static (Block First, Block Second, Sequential Inner, Sequential Root) Modules(bool calls)
    {
        torch.random.manual_seed(1);
        var first = new Block(4, 6, calls);
        var second = new Block(6, 3, calls);
        Sequential inner = torch.nn.Sequential(first, torch.nn.Dropout(0.1));
        return (first, second, inner, torch.nn.Sequential(("inner", inner), ("head", second)));
    }

    /// <summary>A copy, since the last bits of libtorch's products depend on how an array lies in memory.</summary>
    internal static Tensor Input(int seed, int rows = 20) =>
        torch.tensor(Sample.Floats(rows * 4, seed, mean: 2), [rows, 4]).clone();

    internal static float[] Values(Tensor tensor) => tensor.detach().data<float>().ToArray();
}
