namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>A network with data to train it on, of named seeds.</summary>
sealed class Lesson
{
    public Lesson(Network network, TrainingOptions? options = null, int rows = 40, bool weighted = false, int seed = 1)
    {
        Network = network;
        Options = options ?? new TrainingOptions();
        State = Stirred(network, network.Initialize(seed), seed);
        Features = Sample.Floats(rows * network.InputShape.Size, seed + 10, 0.3, 1.2);
        int outputs = network.OutputShape.Size, perRow = Options.Loss.TargetsPerRow(outputs);
        Targets = Options.Loss switch
        {
            SoftmaxCrossEntropyLoss => [.. Enumerable.Range(0, rows).Select(row => (float)(row * 7 % outputs))],
            BinaryCrossEntropyLoss => [.. Enumerable.Range(0, rows * perRow).Select(i => (float)(i * 5 % 3 % 2))],
            _ => Sample.Floats(rows * perRow, seed + 11),
        };
        Weights = weighted ? [.. Enumerable.Range(0, rows).Select(row => row % 4 * 0.5f)] : [];
        Data = new TrainingData(rows, Features, Targets, Weights);
        AllRows = [.. Enumerable.Range(0, rows)];
    }

    public Network Network { get; }

    public NetworkState State { get; set; }

    public TrainingOptions Options { get; }

    public float[] Features { get; }

    public float[] Targets { get; }

    public float[] Weights { get; }

    public TrainingData Data { get; }

    public int[] AllRows { get; }

    public ITrainingSession Start(int threads = 1) => new CpuEngine(threads).Start(Network, State, Options, Data);

    /// <summary>The state after some steps on batches that run through the rows.</summary>
    public (NetworkState State, double[] Losses) Train(int steps, int batch, int threads = 1)
    {
        using ITrainingSession session = Start(threads);
        Step(session, 0, steps, batch);
        double[] losses = new double[steps];
        Assert.AreEqual(steps, session.ReadLosses(losses));
        return (session.GetState(), losses);
    }

    public void Step(ITrainingSession session, int first, int steps, int batch)
    {
        for (int step = first; step < first + steps; step++)
            session.TrainOnBatch(Rows(step, batch), Options.Optimizer.LearningRate);
    }

    /// <summary>
    /// Any number of threads gives the same bits: of the state after some steps and exact statistics, and of outputs.
    /// </summary>
    public void AssertSameBits(int upToThreads, int steps, int batch)
    {
        NetworkState? state = null;
        float[]? outputs = null;
        for (int threads = 1; threads <= upToThreads; threads++)
        {
            using ITrainingSession session = Start(threads);
            Step(session, 0, steps, batch);
            session.RecomputeStatistics(AllRows);
            float[] own = new float[Data.Rows * Network.OutputShape.Size];
            session.Predict(Features, own);
            state ??= session.GetState();
            outputs ??= own;
            Assert.AreEqual(state, session.GetState(), $"{threads} threads");
            Agreement.SameBits<float>(outputs, own, $"{threads} threads, outputs");
        }
    }

    public int[] Rows(int step, int batch) =>
        [.. Enumerable.Range(0, batch).Select(i => (step * batch + i) % Data.Rows)];

    /// <summary>
    /// The engine's gradients on all rows, as the differences that a step of size 1 makes, and its loss.
    /// </summary>
    public (Dictionary<string, double[]> Gradients, double Loss, NetworkState After) Gradients(int threads = 1)
    {
        using ITrainingSession session = new CpuEngine(threads).Start(
            Network, State, Options with { Optimizer = Optimizer.Sgd(1) }, Data);
        session.TrainOnBatch(AllRows, 1);
        double[] loss = new double[1];
        session.ReadLosses(loss);
        NetworkState after = session.GetState();
        var gradients = new Dictionary<string, double[]>();
        foreach ((string name, float[] before) in Values(State))
            gradients[name] = [.. before.Zip(Values(after)[name], (old, now) => (double)old - now)];
        return (gradients, loss[0], after);
    }

    /// <summary>
    /// What the formulas give: gradients of every parameter, the loss, and the states of batch normalizations.
    /// </summary>
    public (Dictionary<string, double[]> Gradients, double Loss, Dictionary<string, BatchNormalizationState>) Expected()
    {
        var naive = new NaiveNetwork(Network, State);
        double[] outputs = naive.Forward(Sample.Widen(Features), Data.Rows, training: true);
        double[] weights = Weights.Length == 0
            ? [.. Enumerable.Repeat(1.0, Data.Rows)]
            : Sample.Widen(Weights);
        (double loss, double[] gradient) = NaiveLoss.Of(Options.Loss, outputs, Targets, weights);
        naive.Backward(gradient, Data.Rows);
        foreach (NetworkNode node in Network.Nodes)
        {
            if (node.Layer is BatchNormalizationLayer layer)
                loss += BatchNormalization.Penalty(layer.Options, State[node.Path].BatchNormalization!);
        }
        return (naive.Gradients, loss, naive.NextStates);
    }

    /// <summary>Every learned tensor by its path and name.</summary>
    public static Dictionary<string, float[]> Values(NetworkState state)
    {
        var values = new Dictionary<string, float[]>();
        foreach (string path in state.Paths)
        {
            LayerState layer = state[path];
            ReadOnlySpan<float> gamma = layer.BatchNormalization is { } known ? known.Gamma : [];
            ReadOnlySpan<float> beta = layer.BatchNormalization is { } same ? same.Beta : [];
            Keep($"{path}/kernel", layer.Kernel);
            Keep($"{path}/bias", layer.Bias);
            Keep($"{path}/gamma", gamma);
            Keep($"{path}/beta", beta);
        }
        return values;

        void Keep(string name, ReadOnlySpan<float> tensor)
        {
            if (!tensor.IsEmpty)
                values[name] = tensor.ToArray();
        }
    }

    /// <summary>
    /// The state with numbers of its own in biases and batch normalizations, which begin as zeros and ones.
    /// </summary>
    static NetworkState Stirred(Network network, NetworkState state, int seed)
    {
        foreach (NetworkNode node in network.Nodes)
        {
            if (state.TryGet(node.Path) is not { } layer)
                continue;
            state = state.With(node.Path, layer.BatchNormalization is { } normalization
                ? new LayerState(
                    Sample.State(((BatchNormalizationLayer)node.Layer).Options, normalization.Channels, seed + 20))
                : new LayerState(layer.Kernel, Sample.Floats(layer.Bias.Length, seed + 30, 0, 0.2)));
        }
        return state;
    }
}
