namespace Microsoft.ML.BatchNorm.Tests.Training;

/// <summary>An engine whose user cancels after so many steps, over all sessions; 0 before the first.</summary>
sealed class CancelingEngine : ITrainingEngine
{
    readonly ITrainingEngine engine;
    readonly CancellationTokenSource source;
    int left;

    public CancelingEngine(ITrainingEngine engine, CancellationTokenSource source, int steps)
    {
        (this.engine, this.source, left) = (engine, source, steps);
        if (steps == 0)
            source.Cancel();
    }

    public ITrainingSession Start(Network network, NetworkState state, TrainingOptions options, TrainingData data) =>
        new Session(this, engine.Start(network, state, options, data));

    sealed class Session(CancelingEngine owner, ITrainingSession session) : ITrainingSession
    {
        public long Steps => session.Steps;

        public void TrainOnBatch(ReadOnlySpan<int> rows, double learningRate)
        {
            session.TrainOnBatch(rows, learningRate);
            if (--owner.left == 0)
                owner.source.Cancel();
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
}
