namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>What it costs to have exact statistics at the end of a training, or of each epoch for validation.</summary>
static class RecomputationTable
{
    const int DataRows = 4096, ValidationRows = DataRows / 4, Width = 128;

    public static Table Make() => new(
        "recomputation",
        $"The exact statistics of all {DataRows:N0} rows, and what a validation on a quarter as many takes with them,\n"
        + "beside an epoch of training with Adam on the same rows, on one thread. A ratio of 3 is a third of an epoch.",
        Unit.RowsPerSecond, ["an epoch"], Comparisons());

    static IEnumerable<Comparison> Comparisons()
    {
        foreach (int normalizations in (int[])[2, 10, 50])
        {
            Subject subject = Subject.Of(64, [64, .. Enumerable.Repeat(Width, normalizations), 10]);
            string name = $"{normalizations} normalizations";
            yield return new Comparison(
                $"{name}: statistics", () => Contest(subject, (session, rows) => session.RecomputeStatistics(rows)));
            float[] features = subject.Features(ValidationRows), outputs = new float[ValidationRows * 10];
            yield return new Comparison($"{name}: statistics and validation", () => Contest(subject, (session, rows) =>
            {
                NetworkState trained = session.GetState();
                session.RecomputeStatistics(rows);
                session.Predict(features, outputs);
                session.SetStatistics(trained);
            }));
        }
    }

    static Contest Contest(Subject subject, Action<ITrainingSession, int[]> work)
    {
        ITrainingSession session = new CpuEngine(1).Start(
            subject.Network, subject.Network.Initialize(1), new TrainingOptions { BatchSize = subject.Batch },
            subject.Data(DataRows));
        int[] rows = [.. Enumerable.Range(0, DataRows)];
        int[][] batches = subject.Batches(DataRows);
        double[] losses = new double[batches.Length];
        return new Contest(DataRows, () => work(session, rows)).Against(() =>
        {
            foreach (int[] batch in batches)
                session.TrainOnBatch(batch, 1e-4);
            session.ReadLosses(losses);
        }).Owning(session);
    }
}
