namespace Microsoft.ML.BatchNorm;

sealed unsafe partial class TrainingSession
{
    /// <summary>What a rank tells the others at the end of its backward pass.</summary>
    /// <param name="Loss">The loss of its rows, by the weight of all rows.</param>
    /// <param name="Error">The kind of the error that keeps it from the step.</param>
    /// <param name="Failed">Whether a value was not finite.</param>
    /// <param name="WantsToStop">Whether it wants the run to stop after the step.</param>
    internal readonly record struct Report(double Loss, RankErrorKind Error, bool Failed, bool WantsToStop);

    Exception? BeginStep(ReadOnlySpan<int> rows)
    {
        loss.Grow(rows.Length);
        BeginTraining(rows, rows.Length);
        return null;
    }

    /// <summary>
    /// Begins a step on this rank's rows. If they cannot be read, the rank goes through the step without rows, so that
    /// the others do not wait for it, and the error is for <see cref="Join"/>.
    /// </summary>
    Exception? BeginStep(BatchShare share, ReadOnlySpan<int> batch)
    {
        share.Take(batch);
        Exception? error = null;
        try
        {
            input.SetRows(share.Rows);
        }
        catch (Exception exception)
        {
            error = exception;
            share.Leave();
            input.SetRows([]);
        }
        loss.Grow(Math.Max(1, share.Rows.Length));
        Grow(Math.Max(1, share.Rows.Length));
        step.Begin(share.Rows.Length);
        step.Number = Steps;
        foreach (Stage stage in stages)
            stage.BeginTraining(batch.Length);
        return error;
    }

    /// <summary>
    /// Makes loss and gradients those of all ranks. An error of one rank is thrown on all, and nothing of the step is
    /// kept; a value that is not finite on one rank fails the step on all. Two messages.
    /// </summary>
    /// <returns>Whether a rank wants to stop.</returns>
    bool Join(ICollective ranks, ref double value, Exception? error, bool wantsToStop)
    {
        Report[] reports = ranks.Gather(new Report(value, RankError.KindOf(error), step.Failed, wantsToStop));
        int failed = Array.FindIndex(reports, report => report.Error != RankErrorKind.None);
        if (failed >= 0)
            ranks.Throw(error, failed, reports[failed].Error);
        value = 0;
        foreach (Report report in reports)
            value += report.Loss;
        var gradients = new Span<float>(parameters.Gradients, parameters.TrainedLength);
        if (step.Rows == 0)
            gradients.Clear();
        ranks.Sum(gradients);
        if (Array.Exists(reports, report => report.Failed) || !Finite.All<float>(gradients))
            step.Fail();
        return Array.Exists(reports, report => report.WantsToStop);
    }

    static Exception? Caught(Action work)
    {
        try
        {
            work();
            return null;
        }
        catch (Exception exception)
        {
            return exception;
        }
    }
}
