using System.Collections.Immutable;
using static Microsoft.ML.BatchNorm.Testing.Graphs;
using AnyLayer = Microsoft.ML.BatchNorm.Layer;

namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>Networks that branch: what they are made of, and how the CPU engine trains and serves them.</summary>
[TestClass]
public sealed class GraphTests
{
    static IEnumerable<object[]> All => Names.Select(name => new object[] { name });

    static IEnumerable<object[]> Cases => GraphFile.Names.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(All))]
    public void A_step_follows_the_gradient_of_the_formulas(string name)
    {
        foreach (int rows in new[] { 40, 150 })
            GradientTests.Compare(new Lesson(Named(name), rows: rows), $"{name}, {rows} rows");
    }

    [TestMethod]
    [DynamicData(nameof(All))]
    public void The_formulas_have_the_slopes_that_differences_have(string name)
    {
        // Without the corners of a ReLU and of a maximum, at which a difference is none of the two slopes.
        Network network = Named(name);
        Network smooth = Network.OfNodes(network.InputShape, null, network.Nodes.Select(
            node => (node.Path, Smooth(node.Layer), node.Inputs)));
        GradientTests.CompareWithDifferences(new Lesson(smooth, rows: 9));

        static AnyLayer Smooth(AnyLayer layer) => layer switch
        {
            ActivationLayer activation => activation with { Function = Activation.Tanh },
            Pool2DLayer pool => pool with { Function = Pooling.Average },
            _ => layer,
        };
    }

    [TestMethod]
    [DynamicData(nameof(All))]
    public void Any_number_of_threads_gives_the_same_bits(string name)
    {
        var lesson = new Lesson(Named(name), rows: 330);
        NetworkState? state = null;
        float[] outputs = [];
        foreach (int threads in new[] { 1, 2, 3, 8 })
        {
            using ITrainingSession session = lesson.Start(threads);
            lesson.Step(session, 0, steps: 3, batch: 200);
            session.RecomputeStatistics(lesson.AllRows);
            float[] own = new float[330 * 3];
            session.Predict(lesson.Features, own);
            if (state is null)
                (state, outputs) = (session.GetState(), own);
            Assert.AreEqual(state, session.GetState(), $"{threads} threads");
            Agreement.SameBits<float>(outputs, own, $"{threads} threads");
        }
    }

    [TestMethod]
    [DynamicData(nameof(All))]
    public void Recomputed_statistics_are_the_exact_ones_layer_after_layer(string name)
    {
        Network network = Named(name);
        var lesson = new Lesson(network, rows: 1300);
        using ITrainingSession session = lesson.Start(threads: 2);
        session.RecomputeStatistics(lesson.AllRows);
        NetworkState state = session.GetState();
        foreach (NetworkNode node in network.Nodes.Where(node => node.Layer is BatchNormalizationLayer))
        {
            BatchNormalizationState actual = state[node.Path].BatchNormalization!;
            if (!node.MovesStatistics)
            {
                Assert.AreEqual(lesson.State[node.Path], state[node.Path], node.Path);
                continue;
            }
            Network before = network.Before(node.Path);
            double[] x = new NaiveNetwork(before, state.For(before)).Forward(
                Sample.Widen(lesson.Features), 1300, training: false);
            var statistics = new BatchStatistics(actual.Channels);
            statistics.Add(((BatchNormalizationLayer)node.Layer).Layout(node.Input, 1300), x);
            Agreement.Within(3e-6, statistics.Mean, actual.MovingMean, node.Path);
            Agreement.Within(
                3e-6,
                [.. Enumerable.Range(0, actual.Channels).Select(
                    c => statistics.Variance(c, VarianceConvention.Population))],
                actual.MovingVariance, node.Path);
        }
    }

    [TestMethod]
    [DynamicData(nameof(All))]
    public void Inference_and_serving_are_those_of_the_formulas(string name)
    {
        Network network = Named(name);
        var lesson = new Lesson(network, rows: 700);
        using ITrainingSession session = lesson.Start(threads: 2);
        lesson.Step(session, 0, steps: 3, batch: 50);
        NetworkState state = session.GetState();
        double[] expected = new NaiveNetwork(network, state).Forward(
            Sample.Widen(lesson.Features), 700, training: false);
        float[] outputs = new float[expected.Length];
        session.Predict(lesson.Features, outputs);
        Agreement.Within(3e-6, expected, outputs, "the session");
        foreach (bool folds in new[] { true, false })
            Agreement.Within(
                1e-5, expected, new NetworkModel(network, state, folds).Predict(lesson.Features), $"folds {folds}");
    }

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void A_network_computes_what_PyTorch_does(string name)
    {
        GraphFile.Check(name, new CpuEngine(1));
        GraphFile.Check(name, new CpuEngine(3));
    }

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void The_gradient_of_the_features_is_PyTorch_s(string name) =>
        GraphFile.CheckInputGradient(name, new CpuEngine(1));

    [TestMethod]
    public void One_weight_s_first_step_is_uncertain_in_float()
    {
        UncertainStep uncertain = GraphFile.Uncertain;
        GraphCase given = GraphFile.Case(uncertain.Case);
        Network network = given.ToNetwork();
        NetworkState state = GraphCase.ToState(network, given.Parameters);
        (float[] x, float[] targets) = given.Batches[0];
        var naive = new NaiveNetwork(network, state);
        double[] outputs = naive.Forward(Sample.Widen(x), targets.Length, training: true);
        double[] ones = [.. Enumerable.Repeat(1.0, targets.Length)];
        naive.Backward(NaiveLoss.Of(Loss.SoftmaxCrossEntropy, outputs, targets, ones).Gradient, targets.Length);
        var found = new List<(string, int)>();
        foreach (NetworkNode node in network.Nodes.Where(node => node.Layer is Conv2DLayer))
        {
            double[] gradient = naive.Gradients[$"{node.Path}/kernel"], terms = new double[gradient.Length];
            (double[] seen, double[] dy) = naive.Convolved[node.Path];
            new NaiveImages(node, targets.Length).ConvolveBack(
                state[node.Path], Array.ConvertAll(seen, Math.Abs), Array.ConvertAll(dy, Math.Abs), terms, []);
            for (int i = 0; i < terms.Length; i++)
            {
                double rounding = UncertainStep.Rounding(terms[i]);
                double step = UncertainStep.Step(gradient[i], given.Optimizer);
                double off = Math.Max(
                    UncertainStep.Step(gradient[i] - rounding, given.Optimizer) - step,
                    step - UncertainStep.Step(gradient[i] + rounding, given.Optimizer));
                if (off <= 1e-5)
                    continue;
                found.Add((node.Path, i));
                Assert.AreEqual(uncertain.Gradient, gradient[i], 1e-12);
                Assert.AreEqual(uncertain.Terms, terms[i], 1e-5);
            }
        }
        CollectionAssert.AreEqual(new[] { (uncertain.Path, uncertain.Index) }, found);
    }

    [TestMethod]
    public void Every_layer_of_the_cases_is_there() => Assert.IsEmpty(GraphFile.UnknownNames);

    [TestMethod]
    public void A_layer_between_frozen_ones_gets_no_gradient_of_its_input()
    {
        // Nothing in the frozen branch nor before the block learns, and the shortcut alone does.
        Network network = Named("a learning shortcut of frozen layers");
        var lesson = new Lesson(network);
        NetworkState after = lesson.Gradients().After;
        foreach (string path in new[] { "dense", "residual/dense" })
            Assert.AreEqual(lesson.State[path], after[path]);
        Assert.AreNotEqual(lesson.State["residual/shortcut/dense"], after["residual/shortcut/dense"]);
    }

    [TestMethod]
    public void A_step_allocates_nothing()
    {
        foreach (string name in Names)
        {
            var lesson = new Lesson(Named(name));
            using ITrainingSession session = lesson.Start(threads: 2);
            int[] rows = lesson.AllRows;
            double[] losses = new double[64];
            Assert.AreEqual(
                0, Allocation.OfWarm(() =>
                {
                    session.TrainOnBatch(rows, 0.01);
                    session.ReadLosses(losses);
                }), name);
        }
    }

    [TestMethod]
    public void A_step_that_diverges_names_the_layer_of_the_branch()
    {
        Network network = Named("a projection shortcut");
        NetworkState state = network.Initialize();
        float[] kernel = state["residual/shortcut/dense"].Kernel.ToArray();
        Array.Fill(kernel, float.MaxValue);
        state = state.With("residual/shortcut/dense", new LayerState(kernel));
        var data = new TrainingData(40, Sample.Floats(40 * 6, 1, 0, 10), new float[40]);
        using ITrainingSession session = new CpuEngine(2).Start(network, state, new TrainingOptions(), data);
        Assert.AreEqual(
            "residual/shortcut/dense",
            Assert.ThrowsExactly<TrainingDivergedException>(
                () => session.TrainOnBatch([.. Enumerable.Range(0, 40)], 0.1)).Layer);
    }

    [TestMethod]
    public void Features_that_are_not_finite_are_an_error_unless_every_reader_ignores_them()
    {
        var ignoring = BatchNormalizationOptions.Keras with { NonFinite = NonFinite.Ignore };
        Network ignores = Network.Input(2).Concat(
            Network.Input(2).BatchNormalization(ignoring), Network.Input(2).Flatten().BatchNormalization(ignoring))
            .BatchNormalization(ignoring).Dense(2);
        Assert.IsTrue(ignores.IgnoresNonFinite);
        Assert.IsFalse(
            Network.Input(2).Concat(Network.Input(2).BatchNormalization(ignoring), Network.Input(2)).IgnoresNonFinite);
        Assert.IsFalse(Network.Input(2).Flatten().IgnoresNonFinite);
        Assert.IsFalse(Network.Input(2).IgnoresNonFinite);
    }

    [TestMethod]
    public void A_chain_of_residual_blocks_keeps_two_values_at_a_time()
    {
        Network network = Network.Input(6);
        for (int i = 0; i < 50; i++)
            network = network.Residual(Network.Input(6).Dense(6).BatchNormalization());
        for (int i = 0; i < network.Nodes.Count; i++)
            Assert.IsTrue(network.Values.OpenAt(i, _ => true).Length <= 2, $"{i}");
    }

    [TestMethod]
    public void Blocks_have_names_and_their_layers_have_paths()
    {
        Network branch = Network.Input(4).Dense(4);
        Network network = Network.Input(4).Residual(branch, branch).Residual(branch).Concat(branch, Network.Input(4))
            .Concat("both", Network.Input(8).Flatten(), Network.Input(8).Residual(Network.Input(8), name: "twice"));
        CollectionAssert.AreEqual(
            (string[])
            [
                "residual/dense -1", "residual/shortcut/dense -1", "residual/add 0 1", "residual_1/dense 2",
                "residual_1/add 3 2", "concat/0/dense 4", "concat/concat 5 4", "both/0/flatten 6", "both/1/twice/add 6 6",
                "both/concat 7 8",
            ],
            network.Nodes.Select(node => $"{node.Path} {string.Join(' ', node.Inputs)}").ToArray());
        Assert.AreEqual("[16]", network.OutputShape.ToString());
        Assert.AreEqual("residual/shortcut/dense", network.Freeze("residual/shortcut").Nodes.Single(n => !n.Layer.Trainable).Path);
        Assert.AreEqual(
            "residual/dense residual/shortcut/dense residual/add residual_1/dense residual_1/add",
            string.Join(' ', network.Freeze("residual*").Nodes.Where(n => !n.Layer.Trainable).Select(n => n.Path)));
        Assert.AreEqual("0.0 1.0 2.0.0", string.Join(' ', new[] { "residual/dense", "residual_1/dense", "concat/0/dense" }
            .Select(network.SequentialName)));
    }

    [TestMethod]
    public void Networks_that_read_other_values_are_not_equal()
    {
        Network Of(params ImmutableArray<int> inputs) => Network.OfNodes(
            new(4), null,
            [Node("a", new FlattenLayer(), -1), Node("b", new FlattenLayer(), 0), Node("c", new AddLayer(), inputs)]);
        Assert.AreEqual(Of(0, 1), Of(0, 1));
        Assert.AreEqual(Of(0, 1).GetHashCode(), Of(0, 1).GetHashCode());
        foreach (Network other in new[] { Of(1, 0), Of(-1, 1), Of(1, 1) })
            Assert.AreNotEqual(Of(0, 1), other);
    }

    [TestMethod]
    public void Branches_get_the_preset_and_keep_their_switches()
    {
        Network body = Network.Input(4).BatchNormalization().Dense(4, name: "frozen").Freeze("frozen");
        Network network = Network.Input(4).WithPreset(NetworkPreset.PyTorch).Residual(body);
        Assert.AreEqual(1e-5, ((BatchNormalizationLayer)network.Nodes[0].Layer).Options.Epsilon);
        Assert.IsFalse(network.GetNode("residual/frozen").Layer.Trainable);
    }

    [TestMethod]
    public void Shapes_and_names_that_do_not_fit_are_errors()
    {
        Network value = Network.Input(4), image = Network.Input(2, 3, 3), dense = value.Dense(4);
        Error(() => value.Residual(value.Dense(5)), "Layer 'add' (Add) has inputs of shapes [5] and [4]; it needs two");
        Error(() => value.Residual(Network.Input(5)), "'residual' (Residual) has an input of shape [4]; it needs [5]");
        Error(
            () => value.Residual(value, Network.Input(3)),
            "'residual/shortcut' (Residual) has an input of shape [4]; it needs [3]");
        Error(() => value.Concat(value), "two branches or more, not 1");
        Error(() => value.Concat(), "two branches or more, not 0");
        Error(() => value.Concat(value, Network.Input(5)), "'concat/1' (Concat) has an input of shape [4]; it needs [5]");
        Error(
            () => image.Concat(image, image.Conv2D(2, 2)),
            "Layer 'concat' (Concat) has inputs of shapes [2, 3, 3] and [2, 2, 2]; it needs two or more that differ");
        Error(() => value.Concat(value, value.Dense(1 << 27)), "Layer 'concat' (Concat)", "takes", "bytes");
        Error(() => value.Dense(4, name: "residual").Residual(dense, name: "residual"), "has a layer 'residual' already");
        Error(() => value.Residual(value.Add(new FlattenLayer { Name = "add" })), "has a layer 'residual/add' already");
        Error(
            () => value.Residual(value.Append(dense, "shortcut"), dense), "has a layer 'residual/shortcut' already");
        Error(() => value.Residual(dense, name: "a/b"), "must not hold");
        Error(() => value.Add(new AddLayer()), "Layer 'add' (Add) has an input of shape [4]; it needs two or more");
        Error(() => value.Add(new ConcatLayer()), "Layer 'concat' (Concat) has an input of shape [4]");
        Assert.ThrowsExactly<ArgumentNullException>(() => value.Residual(null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => value.Concat(value, null!));
    }

    [TestMethod]
    public void Nodes_that_make_no_network_are_errors_that_name_them()
    {
        AnyLayer flat = new FlattenLayer();
        Wrong("Layer 'b' must read the network's input, -1, or earlier layers, 0 to 0, not 1.", Node("a", flat, -1),
            Node("b", flat, 1));
        Wrong("Layer 'a' must read the network's input, -1, or earlier layers, 0 to -1, not -2.", Node("a", flat, -2));
        Wrong("Layer 'a' must read the network's input", Node("a", flat));
        Wrong("Layer 'a' must read the network's input", ("a", flat, default));
        Wrong("No layer reads 'a'", Node("a", flat, -1), Node("b", flat, -1));
        Wrong("has a layer 'a' already", Node("a", flat, -1), Node("a", flat, 0));
        Wrong("has a layer 'a' already", Node("a", flat, -1), Node("a/b", flat, 0));
        Wrong("has a layer 'a' already", Node("a/b", flat, -1), Node("a", flat, 0));
        Wrong("The path 'a//b' has a part without a name", Node("a//b", flat, -1));
        Wrong("The path '' has a part without a name", Node("", flat, -1));
        Wrong("has 33 levels; 32 are allowed.", Node(string.Join('/', Enumerable.Repeat("a", 33)), flat, -1));
        Wrong("must not hold", Node("a*", flat, -1));
        Wrong("has another name, 'c'", Node("a/b", new FlattenLayer { Name = "c" }, -1));
        Wrong("Layer 'a' (Flatten) has inputs of shapes [4] and [4]; it needs one.", Node("a", flat, -1, -1));
        foreach (int input in new[] { -1, 7 })
        {
            ImmutableArray<int> many = [.. Enumerable.Repeat(input, 100_000)];
            string message = Assert.ThrowsExactly<ArgumentException>(
                () => Network.OfNodes(new(4), null, [("a", flat, many)])).Message;
            Assert.IsLessThan(1000, message.Length);
        }
        Network one = Network.OfNodes(new(4), null, [Node("a/b", new FlattenLayer { Name = "b" }, -1)]);
        Assert.AreEqual(Network.Input(4).Append(Network.Input(4).Flatten("b"), "a"), one);

        static void Wrong(string fragment, params (string, AnyLayer, ImmutableArray<int>)[] nodes) =>
            Error(() => Network.OfNodes(new(4), null, nodes), fragment);
    }

    [TestMethod]
    public void Values_that_wait_to_be_read_have_a_bound_too()
    {
        // Each is allowed, and five of them at a time are not.
        Assert.AreEqual(5, Of(3).Nodes.Count);
        Error(() => Of(4), "still to be read at layer 'act_3' take 2,683,317,780", "2,147,483,648");

        static Network Of(int branches) => Network.OfNodes(
            new(1, 1, 1), null,
            [
                Node("large", new Conv2DLayer(1, 1) { Padding = 5_791 }, -1),
                .. Enumerable.Range(0, branches).Select(i => Node($"act_{i}", new ActivationLayer(Activation.ReLU), 0)),
                Node("sum", new AddLayer(), [.. Enumerable.Range(1, branches)]),
            ]);
    }

    [TestMethod]
    public void A_part_has_the_layers_that_its_value_depends_on()
    {
        Network network = Named("a projection shortcut");
        Assert.AreEqual(
            "dense batch_normalization re_lu residual/shortcut/dense", Paths(network.Until("residual/shortcut/dense")));
        Assert.AreEqual("dense batch_normalization re_lu", Paths(network.Before("residual")));
        Assert.AreEqual("dense batch_normalization re_lu", Paths(network.Before("residual/shortcut")));
        Assert.AreEqual("residual/add", network.Until("residual").Nodes[^1].Path);
        Assert.AreEqual(
            "residual/shortcut/batch_normalization", network.Until("residual/shortcut").Nodes[^1].Path);
        Assert.AreEqual(network, network.Until("dense_1"));
        NetworkState state = network.Initialize(1);
        Network part = network.Until("residual/shortcut");
        Assert.AreEqual(5, new NetworkModel(part, state.For(part)).Predict(new float[6]).Length);
        Error(() => network.Before("residual/add"), "'residual/add' reads several values: residual/dense_1, ");
        Error(
            () => Network.Input(2).Concat(Network.Input(2).ReLU(), Network.Input(2).Tanh()).Before("concat/concat"),
            "reads several values: concat/0/re_lu, concat/1/tanh. Cut after one of them with Until.");
    }

    [TestMethod]
    public void The_head_is_the_last_layer_with_a_kernel_through_which_everything_goes()
    {
        Network headless = Network.Input(6).Residual(Network.Input(6).Dense(6));
        Error(() => _ = headless.HeadIndex, "The network ends in features and has no head");
        Network first = Network.Input(6).Dense(6, name: "first").Residual(Network.Input(6).ReLU());
        Assert.AreEqual(0, first.HeadIndex);
        Assert.IsNull(Network.Input(6).Dense(6, name: "first").Residual(Network.Input(6).Dense(6)).FindHead());
        Network network = Named("residual images");
        Assert.AreEqual("dense", network.Nodes[network.HeadIndex].Path);
        Network mine = network.WithHead(7);
        Assert.AreEqual(("head", 7), (mine.Nodes[^1].Path, mine.OutputShape.Size));
        NetworkState state = network.Initialize(1);
        Assert.AreEqual(
            state["residual/conv2d"], mine.Initialize(state, 2, out _)["residual/conv2d"]);
    }

    [TestMethod]
    public void Plans_for_fine_tuning_freeze_all_that_leads_to_the_head()
    {
        Network network = Named("residual images");
        Network alone = FineTune.HeadOnly(1, 0.1).Phases[0].Switches(network);
        Assert.AreEqual("dense", alone.Nodes.Single(node => node.TrainableCount > 0).Path);
        Network all = FineTune.HeadThenAll(1, 1, 0.1, 0.01).Phases[1].Switches(network);
        Assert.IsFalse(all.Nodes.Any(node => node.MovesStatistics));
    }

    [TestMethod]
    public void The_summary_of_branches_says_what_each_layer_reads()
    {
        Network network = Network.Input(4).Residual(Network.Input(4).Dense(4)).ReLU();
        string[] expected =
        [
            "Layer (type)            Output Shape  Param #  Trainable  Connected to",
            "----------------------  ------------  -------  ---------  -----------------",
            "residual/dense (Dense)  (None, 4)          20  yes        -",
            "residual/add (Add)      (None, 4)           0  -          residual/dense, -",
            "re_lu (ReLU)            (None, 4)           0  -          residual/add",
        ];
        CollectionAssert.AreEqual(expected, network.Summary().ReplaceLineEndings("\n").Split('\n')[..5]);
    }

    [TestMethod]
    public void Keras_weights_of_flattened_images_that_are_joined_have_no_order_here()
    {
        Network image = Network.Input(2, 3, 3), flat = image.Flatten();
        Network network = image.Concat(flat, image.ReLU().Flatten()).Dense(2);
        Error(
            () => network.SaveSafetensors(Stream.Null, network.Initialize(), TensorNaming.Keras),
            "layer 'concat/concat'", "put the Flatten after it");
        network.SaveSafetensors(Stream.Null, network.Initialize());
        Network sum = flat.Residual(Network.Input(18).ReLU()).Dense(2);
        sum.SaveSafetensors(Stream.Null, sum.Initialize(), TensorNaming.Keras);
    }

    static string Paths(Network network) => string.Join(' ', network.Nodes.Select(node => node.Path));

    static void Error(Func<object?> action, params string[] fragments)
    {
        string message = Assert.ThrowsExactly<ArgumentException>(() => action()).Message;
        foreach (string fragment in fragments)
            StringAssert.Contains(message, fragment);
    }

    static void Error(Action action, params string[] fragments) =>
        Error(() =>
        {
            action();
            return null;
        }, fragments);
}
