using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

/// <summary>
/// An engine that looks for a cancellation of its ML.NET context at every step. One that comes cancels the run's token,
/// so that the run ends in order before its next step, and validation and exact statistics before their next part.
/// </summary>
sealed class CancelableEngine(IHost host, ITrainingEngine engine, CancellationTokenSource cancellation)
    : ITrainingEngine
{
    public ITrainingSession Start(Network network, NetworkState state, TrainingOptions options, TrainingData data) =>
        new Session(host, engine.Start(network, state, options, data), cancellation);

    sealed class Session(IHost host, ITrainingSession session, CancellationTokenSource cancellation) : ITrainingSession
    {
        public long Steps => session.Steps;

        public void TrainOnBatch(ReadOnlySpan<int> rows, double learningRate)
        {
            session.TrainOnBatch(rows, learningRate);
            Look();
        }

        public void Prefetch(ReadOnlySpan<int> rows) => session.Prefetch(rows);

        public int ReadLosses(Span<double> losses) => session.ReadLosses(losses);

        public void RecomputeStatistics(IReadOnlyCollection<int> rows)
        {
            Check();
            session.RecomputeStatistics(rows);
        }

        public void SetStatistics(NetworkState state) => session.SetStatistics(state);

        public void Predict(ReadOnlySpan<float> features, Span<float> outputs)
        {
            Check();
            session.Predict(features, outputs);
        }

        public NetworkState GetState() => session.GetState();

        public OptimizerState GetOptimizerState() => session.GetOptimizerState();

        public void SetOptimizerState(OptimizerState state) => session.SetOptimizerState(state);

        public void Dispose() => session.Dispose();

        void Check()
        {
            Look();
            cancellation.Token.ThrowIfCancellationRequested();
        }

        void Look()
        {
            if (host is ICancelable { IsCanceled: true })
                cancellation.Cancel();
        }
    }
}
