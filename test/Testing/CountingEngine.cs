namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>This process's engine, which counts its steps over all sessions.</summary>
/// <param name="onStep">Told of each step that was made.</param>
/// <param name="onPart">Told of each part of a validation, and of each recomputation, before it is made.</param>
sealed class CountingEngine(Action<int>? onStep = null, Action<int>? onPart = null) : ITrainingEngine
{
    readonly Action<int>? onStep = onStep, onPart = onPart;

    public int Steps { get; private set; }

    public int Parts { get; private set; }

    /// <summary>One whose user cancels after so many steps; 0 before the first.</summary>
    public static CountingEngine CancelingAfter(int steps, CancellationTokenSource source)
    {
        if (steps == 0)
            source.Cancel();
        return new CountingEngine(step =>
        {
            if (step == steps)
                source.Cancel();
        });
    }

    public ITrainingSession Start(Network network, NetworkState state, TrainingOptions options, TrainingData data) =>
        new Session(this, new CpuEngine().Start(network, state, options, data));

    sealed class Session(CountingEngine engine, ITrainingSession session) : ITrainingSession
    {
        public long Steps => session.Steps;

        public void TrainOnBatch(ReadOnlySpan<int> rows, double learningRate)
        {
            session.TrainOnBatch(rows, learningRate);
            engine.Steps++;
            engine.onStep?.Invoke(engine.Steps);
        }

        public void Prefetch(ReadOnlySpan<int> rows) => session.Prefetch(rows);

        public int ReadLosses(Span<double> losses) => session.ReadLosses(losses);

        public void RecomputeStatistics(IReadOnlyCollection<int> rows)
        {
            engine.onPart?.Invoke(++engine.Parts);
            session.RecomputeStatistics(rows);
        }

        public void SetStatistics(NetworkState state) => session.SetStatistics(state);

        public void Predict(ReadOnlySpan<float> features, Span<float> outputs)
        {
            engine.onPart?.Invoke(++engine.Parts);
            session.Predict(features, outputs);
        }

        public NetworkState GetState() => session.GetState();

        public OptimizerState GetOptimizerState() => session.GetOptimizerState();

        public void SetOptimizerState(OptimizerState state) => session.SetOptimizerState(state);

        public void Dispose() => session.Dispose();
    }
}
