namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>A network's forward pass as a function of state and batch.</summary>
[TestClass]
public sealed class ForwardTests
{
    static Network Dense => Network.Input(20).BatchNormalization()
        .Dense(70).BatchNormalization().ReLU()
        .Append(Network.Input(70).Dense(33, useBias: false).BatchNormalization(BatchNormalizationOptions.PyTorch), "in")
        .Gelu().Dense(5);

    static Network Image => Network.Input(3, 9, 8)
        .Conv2D(20, 3, padding: 1, useBias: false).BatchNormalization().ReLU().MaxPool2D(3, stride: 2, padding: 1)
        .Conv2D(5, (2, 3), padding: (0, 1)).BatchNormalization(new() { Momentum = 0.9, Renorm = new() }).Flatten()
        .Dense(4);

    static Network Dropping => Network.Input(20).Dropout(0.4).Dense(9).BatchNormalization(name: "norm").Dropout(0.2);

    static IEnumerable<object[]> Networks => [["dense", Dense], ["images", Image], ["dropout", Dropping]];

    [TestMethod]
    [DynamicData(nameof(Networks))]
    public void In_inference_mode_it_is_what_a_session_and_a_model_predict(string name, Network network)
    {
        var lesson = new Lesson(network, rows: 600);
        NetworkForwardPass pass = network.Forward(lesson.State, lesson.Features, training: false);
        Assert.AreSame(lesson.State, pass.NextState, name);
        float[] session = new float[pass.Outputs.Length];
        using (ITrainingSession other = lesson.Start())
            other.Predict(lesson.Features, session);
        Agreement.SameBits<float>(session, pass.Outputs, name);
        float[] model = new NetworkModel(network, lesson.State, foldBatchNormalization: false).Predict(lesson.Features);
        Agreement.Within(1e-5, Sample.Widen(model), pass.Outputs, name);
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void In_training_mode_outputs_and_next_state_are_those_of_the_formulas(bool isImage)
    {
        var lesson = new Lesson(isImage ? Image : Dense, rows: 300);
        var naive = new NaiveNetwork(lesson.Network, lesson.State);
        double[] expected = naive.Forward(Sample.Widen(lesson.Features), 300, training: true);
        NetworkForwardPass pass = lesson.Network.Forward(lesson.State, lesson.Features, training: true);
        Agreement.Within(1e-5, expected, pass.Outputs);
        foreach (NetworkNode node in lesson.Network.Nodes.Where(node => lesson.State.TryGet(node.Path) is not null))
        {
            if (!naive.NextStates.TryGetValue(node.Path, out BatchNormalizationState? next))
            {
                Assert.AreEqual(lesson.State[node.Path], pass.NextState[node.Path], node.Path);
                continue;
            }
            BatchNormalizationState actual = pass.NextState[node.Path].BatchNormalization!;
            Agreement.Within(1e-5, next.MovingMean, actual.MovingMean, node.Path);
            Agreement.Within(1e-5, next.MovingVariance, actual.MovingVariance, node.Path);
            Assert.AreEqual(next.BatchesSeen, actual.BatchesSeen, node.Path);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Networks))]
    public void In_training_mode_it_is_a_step_of_that_seed_from_which_nothing_learns(string name, Network network)
    {
        var lesson = new Lesson(network, new TrainingOptions { Seed = 7, Optimizer = Optimizer.Sgd(0) }, rows: 100);
        using ITrainingSession session = lesson.Start();
        session.TrainOnBatch(lesson.AllRows, 0);
        NetworkForwardPass pass = network.Forward(lesson.State, lesson.Features, training: true, seed: 7);
        Assert.AreEqual(session.GetState(), pass.NextState, name);
    }

    [TestMethod]
    public void Another_seed_drops_other_values_and_the_same_one_the_same()
    {
        var lesson = new Lesson(Dropping);
        float[] Outputs(int seed) => Dropping.Forward(lesson.State, lesson.Features, training: true, seed).Outputs;
        Agreement.SameBits<float>(Outputs(1), Outputs(1));
        CollectionAssert.AreNotEqual(Outputs(1), Outputs(2));
    }

    [TestMethod]
    public void Any_number_of_threads_gives_the_same_bits()
    {
        var lesson = new Lesson(Dense, rows: 500);
        NetworkForwardPass one = Dense.Forward(lesson.State, lesson.Features, training: true);
        NetworkForwardPass three = Dense.Forward(lesson.State, lesson.Features, training: true, threads: 3);
        Agreement.SameBits<float>(one.Outputs, three.Outputs);
        Assert.AreEqual(one.NextState, three.NextState);
    }

    [TestMethod]
    public void A_frozen_network_stays_in_inference_mode()
    {
        var lesson = new Lesson(Dense.Freeze("*"));
        NetworkForwardPass pass = lesson.Network.Forward(lesson.State, lesson.Features, training: true);
        Agreement.SameBits<float>(
            lesson.Network.Forward(lesson.State, lesson.Features, training: false).Outputs, pass.Outputs);
        Assert.AreSame(lesson.State, pass.NextState);
    }

    [TestMethod]
    public void A_layer_with_its_statistics_kept_leaves_those_and_the_others_move()
    {
        var lesson = new Lesson(Dense.WithBatchNormalization(o => o with { UpdateStatistics = false }, "in"));
        NetworkState next = lesson.Network.Forward(lesson.State, lesson.Features, training: true).NextState;
        Assert.AreEqual(lesson.State["in/batch_normalization"], next["in/batch_normalization"]);
        Assert.AreNotEqual(lesson.State["batch_normalization"], next["batch_normalization"]);
    }

    [TestMethod]
    public void Constraints_are_the_optimizer_s_and_leave_gamma_as_it_is()
    {
        Network network = Network.Input(3).BatchNormalization(new() { GammaConstraint = Constraint.MaxNorm(1e-3) });
        var lesson = new Lesson(network);
        NetworkState next = network.Forward(lesson.State, lesson.Features, training: true).NextState;
        Agreement.SameBits(
            lesson.State["batch_normalization"].BatchNormalization!.Gamma,
            next["batch_normalization"].BatchNormalization!.Gamma);
    }

    [TestMethod]
    public void Features_that_are_no_rows_or_not_finite_are_errors()
    {
        Network network = Network.Input(2).Dense(3).BatchNormalization(name: "norm");
        NetworkState state = network.Initialize(1);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => network.Forward(state, new float[3], true)).Message,
            "3 features, not rows of the 2");
        Assert.ThrowsExactly<ArgumentException>(() => network.Forward(state, default, false));
        Assert.ThrowsExactly<ArgumentException>(() => network.Forward(new NetworkState([]), new float[2], false));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => network.Forward(state, new float[2], false, threads: 0));
        foreach (bool training in new[] { false, true })
            StringAssert.Contains(
                Assert.ThrowsExactly<InvalidDataException>(
                    () => network.Forward(state, new float[] { 1, 2, 3, float.NaN }, training)).Message,
                "row 1, slot 1 has NaN");
        // The features are finite, and what the dense layer makes of them is not.
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(
                () => network.Forward(
                    state.With("dense", new LayerState([3, 3, 3, 3, 3, 3], [0, 0, 0])),
                    new float[] { 3e38f, 3e38f, 1, 1 }, training: true)).Message,
            "layer 'norm' is not finite in channel 0");
    }
}
