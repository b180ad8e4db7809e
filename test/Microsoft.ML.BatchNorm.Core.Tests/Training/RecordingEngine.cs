using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Tests.Training;

/// <summary>
/// An engine of the loop's tests alone: it writes down what it is asked, moves the parameters that the switches let
/// move by numbers that depend on everything a step is given, and has losses and outputs as a test wants them.
/// </summary>
sealed class RecordingEngine : ITrainingEngine
{
    /// <summary>All sessions, in the order of their starts.</summary>
    public List<RecordingSession> Sessions { get; } = [];

    /// <summary>The loss of a step, numbered from 1 in its session.</summary>
    public Func<long, double> Loss { get; init; } = step => 1.0 / step;

    /// <summary>Every output after so many steps of a session.</summary>
    public Func<long, float> Output { get; init; } = steps => 1f / (1 + steps);

    /// <summary>Is called before each step with its number.</summary>
    public Action<long> BeforeStep { get; init; } = _ => { };

    public RecordingSession Last => Sessions[^1];

    public ITrainingSession Start(Network network, NetworkState state, TrainingOptions options, TrainingData data)
    {
        network.CheckState(state);
        var session = new RecordingSession(this, network, state, options);
        Sessions.Add(session);
        return session;
    }
}

sealed class RecordingSession(RecordingEngine engine, Network network, NetworkState state, TrainingOptions options)
    : ITrainingSession
{
    readonly Queue<double> losses = new();
    NetworkState state = state;
    float velocity;
    long read;

    public Network Network => network;

    public TrainingOptions Options => options;

    public NetworkState First { get; } = state;

    public List<int[]> Batches { get; } = [];

    public List<double> Rates { get; } = [];

    public List<int[]> Prefetched { get; } = [];

    public List<int[]> Recomputed { get; } = [];

    public bool IsDisposed { get; private set; }

    public long Steps { get; private set; }

    public void TrainOnBatch(ReadOnlySpan<int> rows, double learningRate)
    {
        engine.BeforeStep(Steps + 1);
        Steps++;
        Batches.Add(rows.ToArray());
        Rates.Add(learningRate);
        int hash = (int)Steps;
        foreach (int row in rows)
            hash = unchecked(hash * 31 + row);
        velocity = 0.5f * velocity + hash % 1000 * 1e-3f;
        float move = velocity * (float)learningRate;
        foreach (NetworkNode node in network.Nodes)
            Move(node, move);
        losses.Enqueue(engine.Loss(Steps));
    }

    public void Prefetch(ReadOnlySpan<int> rows) => Prefetched.Add(rows.ToArray());

    public int ReadLosses(Span<double> values)
    {
        int count = Math.Min(values.Length, losses.Count);
        for (int i = 0; i < count; i++)
        {
            values[i] = losses.Dequeue();
            if (!double.IsFinite(values[i]))
            {
                Steps = read;
                throw new TrainingDivergedException("");
            }
            read++;
        }
        return count;
    }

    public void RecomputeStatistics(IReadOnlyCollection<int> rows)
    {
        Recomputed.Add([.. rows]);
        foreach (NetworkNode node in network.Nodes)
        {
            if (Moves(node))
                SetStatistics(node, 1000);
        }
    }

    public void SetStatistics(NetworkState value)
    {
        foreach (NetworkNode node in network.Nodes.Where(Moves))
            state = state.With(node.Path, value[node.Path]);
    }

    public void Predict(ReadOnlySpan<float> features, Span<float> outputs) => outputs.Fill(engine.Output(Steps));

    public NetworkState GetState() => state;

    public OptimizerState GetOptimizerState() => new(
        Steps, OptimizerState.Empty.Moments.Add("all/velocity", ImmutableArray.Create(velocity)));

    public void SetOptimizerState(OptimizerState value)
    {
        Steps = read = value.Steps;
        velocity = value.Moments["all/velocity"][0];
    }

    public void Dispose() => IsDisposed = true;

    static bool Moves(NetworkNode node) =>
        node.Layer is BatchNormalizationLayer layer && layer.Options.MovesStatistics(training: true);

    void Move(NetworkNode node, float move)
    {
        if (state.TryGet(node.Path) is not { } known || !node.IsTrainable)
            return;
        if (known.BatchNormalization is null)
            state = state.With(node.Path, new LayerState(
                [.. known.Kernel.ToArray().Select(value => value + move)], known.Bias));
        else if (Moves(node))
            SetStatistics(node, known.BatchNormalization.MovingMean[0] + move);
    }

    void SetStatistics(NetworkNode node, double mean)
    {
        BatchNormalizationState known = state[node.Path].BatchNormalization!;
        double[] means = new double[known.Channels];
        Array.Fill(means, mean);
        state = state.With(node.Path, new LayerState(new BatchNormalizationState(
            means, known.MovingVariance, known.Gamma, known.Beta, known.BatchesSeen + 1)));
    }
}
