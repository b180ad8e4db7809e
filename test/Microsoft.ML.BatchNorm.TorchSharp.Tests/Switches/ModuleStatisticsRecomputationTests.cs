using TorchSharp;
using TorchSharp.Modules;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Switches;

/// <summary>Moving statistics of any module, replaced by those of a whole data set.</summary>
[TestClass]
public class ModuleStatisticsRecomputationTests
{
    static Tensor[] Batches => [FreezeTests.Input(1, 30), FreezeTests.Input(2, 7), FreezeTests.Input(3, 20)];

    [TestMethod]
    public void Every_layer_gets_the_statistics_of_all_rows_computed_after_the_layers_before_it()
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
    [DataRow(true, true)]
    [DataRow(true, false)]
    [DataRow(false, true)]
    public void The_number_of_batches_is_tracked_and_a_cumulative_average_continues_from_it(bool calls, bool onePass)
    {
        using var scope = torch.NewDisposeScope();
        (Block first, Block second, _, Sequential root) = FreezeTests.Modules(calls);
        root.RecomputeStatistics(Batches, onePass);
        Assert.AreEqual(3, first.Norm.num_batches_tracked!.item<long>());
        Assert.AreEqual(3, second.Norm.num_batches_tracked!.item<long>());

        BatchNorm1d norm = torch.nn.BatchNorm1d(4);
        norm.momentum = null;
        norm.RecomputeStatistics(Batches);
        float[] mean = FreezeTests.Values(norm.running_mean!);
        norm.train();
        norm.call(torch.zeros(5, 4));
        double[] expected = Array.ConvertAll(mean, value => value * 0.75);
        Agreement.Within(1e-6, expected, FreezeTests.Values(norm.running_mean!));
    }

    [TestMethod]
    public void The_statistics_are_those_of_the_core_for_the_same_network()
    {
        using var scope = torch.NewDisposeScope();
        (Block first, Block second, _, Sequential root) = FreezeTests.Modules(calls: true);
        Network network = Network.Input(4).WithPreset(NetworkPreset.PyTorch)
            .Dense(6, name: "a").BatchNormalization(name: "b").ReLU()
            .Dense(3, name: "c").BatchNormalization(name: "d").ReLU();
        Linear[] linears = [.. root.modules().OfType<Linear>().OrderByDescending(linear => linear.weight!.shape[0])];
        NetworkState state = network.Initialize().With("a", State(linears[0])).With("c", State(linears[1]));
        float[] features = FreezeTests.Values(torch.cat(Batches));
        using ITrainingSession session = new CpuEngine().Start(
            network, state, new() { Loss = Loss.MeanSquaredError }, new(57, features, new float[57 * 3]));
        session.RecomputeStatistics([.. Enumerable.Range(0, 57)]);
        root.RecomputeStatistics(Batches);
        foreach ((BatchNorm1d norm, string name) in
            (ReadOnlySpan<(BatchNorm1d, string)>)[(first.Norm, "b"), (second.Norm, "d")])
        {
            BatchNormalizationState own = session.GetState()[name].BatchNormalization!;
            Agreement.Within(1e-6, own.MovingMean.ToArray(), FreezeTests.Values(norm.running_mean!), name);
            Agreement.Within(1e-6, own.MovingVariance.ToArray(), FreezeTests.Values(norm.running_var!), name);
        }

        static LayerState State(Linear linear) =>
            new(FreezeTests.Values(linear.weight!), FreezeTests.Values(linear.bias!));
    }

    [TestMethod]
    public void The_statistics_do_not_depend_on_the_size_of_the_batches()
    {
        using var scope = torch.NewDisposeScope();
        (_, Block second, _, Sequential root) = FreezeTests.Modules(calls: true);
        root.RecomputeStatistics([torch.cat(Batches)]);
        float[] whole = FreezeTests.Values(second.Norm.running_var!);
        root.RecomputeStatistics(Batches);
        Agreement.Within(1e-6, Sample.Widen(whole), FreezeTests.Values(second.Norm.running_var!));
    }

    [TestMethod]
    public void There_is_one_pass_per_layer_or_one_in_training_mode()
    {
        using var scope = torch.NewDisposeScope();
        int passes = 0;
        (_, _, _, Sequential chain) = FreezeTests.Modules(calls: true);
        chain.RecomputeStatistics(Counted());
        Assert.AreEqual(2, passes);
        passes = 0;
        var branches = new Branches(4, count: 5, calls: true);
        branches.RecomputeStatistics(Counted());
        Assert.AreEqual(6, passes);
        passes = 0;
        branches.RecomputeStatistics(Counted(), onePass: true);
        Assert.AreEqual(1, passes);

        IEnumerable<Tensor> Counted()
        {
            passes++;
            foreach (Tensor batch in Batches)
                yield return batch;
        }
    }

    [TestMethod]
    public void Statistics_of_branches_and_of_a_layer_registered_before_its_inputs_are_exact()
    {
        using var scope = torch.NewDisposeScope();
        torch.random.manual_seed(3);
        var module = new Branches(4, count: 3, calls: true);
        module.RecomputeStatistics(Batches);
        module.eval();
        Tensor all = torch.cat(Batches);
        for (int i = 0; i < 3; i++)
            Check(module.Norm(i), module.Linear(i).call(all));
        Check(module.Last, module.Sum(all));
    }

    [TestMethod]
    [TestCategory("Gpu")]
    [DataRow(true)]
    [DataRow(false)]
    public void The_statistics_on_a_GPU_are_those_on_the_CPU(bool calls)
    {
        Gpu.Need();
        using var scope = torch.NewDisposeScope();
        var module = new Branches(4, count: 3, calls);
        module.RecomputeStatistics(Batches, onePass: !calls);
        float[] mean = FreezeTests.Values(module.Last.running_mean!);
        float[] variance = FreezeTests.Values(module.Last.running_var!);
        module.to(new torch.Device("cuda"));
        module.FreezeBatchNormalization(names: ["branch0"]);
        module.train();
        Assert.AreEqual(3, module.RecomputeStatistics(Batches.Select(batch => batch.cuda()), onePass: !calls));
        Agreement.Within(1e-5, Sample.Widen(mean), FreezeTests.Values(module.Last.running_mean!));
        Agreement.Within(1e-5, Sample.Widen(variance), FreezeTests.Values(module.Last.running_var!));
    }

    [TestMethod]
    public void A_dependence_that_the_first_batch_does_not_show_is_found()
    {
        using var scope = torch.NewDisposeScope();
        BatchNorm1d first = torch.nn.BatchNorm1d(4), second = torch.nn.BatchNorm1d(4);
        first.running_mean!.fill_(5);
        Sequential module = torch.nn.Sequential(first, second);
        Assert.AreEqual(2, module.RecomputeStatistics(Batches, x =>
        {
            Tensor y = first.call(x);
            second.call(x.shape[0] == 30 ? x : y);
        }));
        module.eval();
        Check(first, torch.cat(Batches));
        Check(second, torch.cat([Batches[0], first.call(Batches[1]), first.call(Batches[2])]));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void One_pass_gives_the_statistics_of_the_inputs_in_training_mode(bool calls)
    {
        using var scope = torch.NewDisposeScope();
        (Block first, Block second, _, Sequential root) = FreezeTests.Modules(calls);
        Linear[] linears = [.. root.modules().OfType<Linear>().OrderByDescending(linear => linear.weight!.shape[0])];
        root.RecomputeStatistics(Batches, onePass: true);
        Tensor[] inputs = [.. Batches.Select(batch => linears[0].call(batch))], next = [.. inputs.Select(Next)];
        if (calls)
        {
            Check(first.Norm, torch.cat(inputs));
            Check(second.Norm, torch.cat(next));
        }
        else
        {
            ForwardTests.CheckAverage(first.Norm, inputs);
            ForwardTests.CheckAverage(second.Norm, next);
        }

        Tensor Next(Tensor x) => linears[1].call(torch.nn.functional.batch_norm(
            x, torch.zeros(6), torch.ones(6), training: true).relu());
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Frozen_statistics_stay(bool onePass)
    {
        using var scope = torch.NewDisposeScope();
        (Block first, Block second, _, Sequential root) = FreezeTests.Modules(calls: true);
        root.FreezeBatchNormalization(names: ["inner"]);
        Assert.AreEqual(1, root.RecomputeStatistics(Batches, onePass));
        CollectionAssert.AreEqual(new float[6], FreezeTests.Values(first.Norm.running_mean!));
        CollectionAssert.AreNotEqual(new float[3], FreezeTests.Values(second.Norm.running_mean!));
    }

    [TestMethod]
    public void The_caller_runs_modules_with_other_inputs()
    {
        using var scope = torch.NewDisposeScope();
        (_, Block second, _, Sequential root) = FreezeTests.Modules(calls: true);
        root.RecomputeStatistics([1, 2], seed => root.call(FreezeTests.Input(seed)));
        CollectionAssert.AreNotEqual(new float[3], FreezeTests.Values(second.Norm.running_mean!));
    }

    [TestMethod]
    public void Images_have_one_statistic_per_channel()
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
    public void A_pass_that_fails_leaves_everything_as_it_was()
    {
        using var scope = torch.NewDisposeScope();
        (Block first, Block second, _, Sequential root) = FreezeTests.Modules(calls: true);
        root.train();
        root.call(FreezeTests.Input(9));
        float[][] before = Statistics();
        int passes = 0;
        Assert.ThrowsExactly<IOException>(() => root.RecomputeStatistics(Failing()));
        CollectionAssert.AreEqual(before[0], Statistics()[0]);
        CollectionAssert.AreEqual(before[1], Statistics()[1]);
        Assert.AreEqual(1, first.Norm.num_batches_tracked!.item<long>());
        Assert.IsTrue(first.Norm.training);

        float[][] Statistics() =>
            [FreezeTests.Values(first.Norm.running_mean!), FreezeTests.Values(second.Norm.running_var!)];

        IEnumerable<Tensor> Failing()
        {
            yield return FreezeTests.Input(1);
            if (++passes == 2)
                throw new IOException();
        }
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

    [TestMethod]
    public void A_single_value_per_channel_is_an_error_in_all_batches_together_or_with_onePass_in_one()
    {
        using var scope = torch.NewDisposeScope();
        (_, _, _, Sequential root) = FreezeTests.Modules(calls: true);
        Tensor[] rows = [FreezeTests.Input(1, 1), FreezeTests.Input(2, 1)];
        Assert.AreEqual(2, root.RecomputeStatistics(rows));
        Assert.ThrowsExactly<InvalidDataException>(() => root.RecomputeStatistics(rows[..1]));
        var error = Assert.ThrowsExactly<InvalidDataException>(() => root.RecomputeStatistics(rows, onePass: true));
        StringAssert.Contains(error.Message, "inner.0.norm");
    }

    static void Check(BatchNorm1d norm, Tensor input)
    {
        (Tensor variance, Tensor mean) = torch.var_mean(input.detach().to(torch.float64), [0], true);
        Agreement.Within(1e-6, mean.data<double>().ToArray(), FreezeTests.Values(norm.running_mean!), "mean");
        Agreement.Within(1e-6, variance.data<double>().ToArray(), FreezeTests.Values(norm.running_var!), "variance");
    }
}
