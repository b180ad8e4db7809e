namespace Microsoft.ML.BatchNorm.Training;

/// <summary>
/// The losses of an epoch's steps, read from the session when it is asked, added up in the steps' order.
/// </summary>
sealed class EpochLosses(ITrainingSession session, Batches batches, long firstStep, double firstSum)
{
    readonly double[] buffer = new double[256];
    long read = firstStep;

    /// <summary>Loss times rows.</summary>
    public double Sum { get; private set; } = firstSum;

    /// <summary>Over the rows of the steps that were read.</summary>
    public double Mean => Sum / batches.RowsBefore(read);

    /// <summary>Reads the losses of all steps before <paramref name="step"/>.</summary>
    public void Read(long step)
    {
        while (read < step)
        {
            int count = session.ReadLosses(buffer);
            if (count == 0)
                throw new InvalidOperationException($"The engine has no loss for step {read + 1}.");
            for (int i = 0; i < count; i++)
                Sum += buffer[i] * batches.RowsIn(read++);
        }
    }

    public void Restart() => (read, Sum) = (0, 0);
}
