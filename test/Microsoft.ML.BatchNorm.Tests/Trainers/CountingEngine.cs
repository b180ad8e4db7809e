namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>This process's engine, which counts its steps.</summary>
sealed class CountingEngine(Action<int>? onStep = null) : ITrainingEngine
{
    public int Steps { get; private set; }

    public ITrainingSession Start(Network network, NetworkState state, TrainingOptions options, TrainingData data) =>
        new Session(this, new CpuEngine().Start(network, state, options, data));

    sealed class Session(CountingEngine engine, ITrainingSession session) : ITrainingSession
    {
        public long Steps => session.Steps;

        public void TrainOnBatch(ReadOnlySpan<int> rows, double learningRate)
        {
            session.TrainOnBatch(rows, learningRate);
            engine.Steps++;
            engine.onStepped?.Invoke(engine.Steps);
        }

        public void Prefetch(ReadOnlySpan<int> rows) => session.Prefetch(rows);

        public int ReadLosses(Span<double> losses) => session.ReadLosses(losses);

        public void RecomputeStatistics(ReadOnlySpan<int> rows) => session.RecomputeStatistics(rows);

        public void Predict(ReadOnlySpan<float> features, Span<float> outputs) => session.Predict(features, outputs);

        public NetworkState GetState() => session.GetState();

        public OptimizerState GetOptimizerState() => session.GetOptimizerState();

        public void SetOptimizerState(OptimizerState state) => session.SetOptimizerState(state);

        public void Dispose() => session.Dispose();
    }

    readonly Action<int>? onStepped = onStep;
}
