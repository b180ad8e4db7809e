namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>A training with Adam on one of the library's engines, a step at a time.</summary>
sealed class EngineTraining : IDisposable
{
    readonly ITrainingSession session;
    readonly int[][] batches;
    readonly double[] losses = new double[1];
    int next;

    public EngineTraining(ITrainingEngine engine, Subject subject, int dataRows)
    {
        batches = subject.Batches(dataRows);
        session = engine.Start(
            subject.Network, subject.Network.Initialize(1), new TrainingOptions { BatchSize = subject.Batch },
            subject.Data(dataRows));
    }

    /// <summary>A step on the next batch, and its loss.</summary>
    public double Loss()
    {
        Enqueue();
        session.ReadLosses(losses);
        return losses[0];
    }

    public void Step() => Loss();

    /// <summary>
    /// A step whose loss is read when the epoch ends, as a run of the library does: a device need not be waited for.
    /// </summary>
    public void StepAhead()
    {
        Enqueue();
        if (next == 0)
        {
            while (session.ReadLosses(losses) > 0)
                ;
        }
    }

    public void Dispose() => session.Dispose();

    void Enqueue()
    {
        session.TrainOnBatch(batches[next], 0.001);
        next = (next + 1) % batches.Length;
        session.Prefetch(batches[next]);
    }
}
