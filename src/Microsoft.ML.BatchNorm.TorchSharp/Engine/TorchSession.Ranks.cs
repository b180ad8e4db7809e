namespace Microsoft.ML.BatchNorm.TorchSharp;

sealed partial class TorchSession
{
    /// <summary>
    /// A step of all ranks. If this rank's rows cannot be read, it goes through the step without rows, so that the
    /// others do not wait for it.
    /// </summary>
    bool TrainTogether(BatchShare share, ReadOnlySpan<int> rows, double learningRate, bool wantsToStop)
    {
        foreach (LayerModule layer in module.Layers)
            layer.CheckBatchSize(rows.Length);
        using CpuThreads threads = Threads();
        using var scope = torch.NewDisposeScope();
        DeviceBatch batch = Take(share, rows, out Exception? error);
        module.SetTraining(true);
        module.BeginStep(options.Seed, steps);
        try
        {
            Tensor value = loss.Of(module.forward(batch.Features), batch, share).to(ScalarType.Float64);
            // The gradients of the penalties are added up with the others, so one rank forms them.
            Tensor own = share.Ranks.Rank == 0 ? WithPenalties(value) : value;
            module.ComputeGradient(own);
            Join(share.Ranks, own, batch, error, learningRate, rows.Length, ref wantsToStop);
        }
        catch
        {
            module.UndoStep();
            throw;
        }
        return wantsToStop;
    }

    /// <summary>
    /// Makes loss and gradients those of all ranks, and changes parameters and statistics. An error of one rank is
    /// thrown on all; a value that is not finite on one rank fails the step on all. Two messages.
    /// </summary>
    void Join(
        ICollective ranks, Tensor own, DeviceBatch batch, Exception? error, double learningRate, int rows,
        ref bool wantsToStop)
    {
        using IDisposable noGradient = torch.no_grad();
        float[] gradient = Tensors.Download<float>(module.Parameters.Gradient);
        double value = own.item<double>();
        TrainingSession.Report[] reports = ranks.Gather(new TrainingSession.Report(
            value, RankError.KindOf(error), !double.IsFinite(value) || !Finite.All<float>(gradient), wantsToStop));
        int failed = Array.FindIndex(reports, report => report.Error != RankErrorKind.None);
        if (failed >= 0)
            ranks.Throw(error, failed, reports[failed].Error);
        double total = 0;
        foreach (TrainingSession.Report report in reports)
            total += report.Loss;
        ranks.Sum(gradient);
        if (!double.IsFinite(total) || Array.Exists(reports, report => report.Failed) || !Finite.All<float>(gradient))
            throw DivergedTogether(ranks, batch, total, gradient);
        if (gradient.Length > 0)
            module.Parameters.Gradient.copy_(Tensors.Upload<float>(gradient, torch.CPU, gradient.Length));
        Apply(
            gradient.Length > 0 ? module.Parameters.Gradient : null,
            options.GradientClipNorm is null ? 0 : module.Parameters.GradientNorm().item<double>(), learningRate, rows,
            total);
        wantsToStop = Array.Exists(reports, report => report.WantsToStop);
    }

    /// <summary>
    /// This rank's rows of a batch. If there are none, a row of zeros stands in for them, which counts nowhere.
    /// </summary>
    DeviceBatch Take(BatchShare share, ReadOnlySpan<int> rows, out Exception? error)
    {
        share.Take(rows);
        error = null;
        try
        {
            features.Check(share.Rows.ToArray());
            if (!share.Rows.IsEmpty)
                return batches.Take(share.Rows);
        }
        catch (Exception exception)
        {
            error = exception;
            share.Leave();
        }
        long[] shape = Array.ConvertAll(network.InputShape.WithRows(1), d => (long)d);
        return new(
            torch.zeros(shape, ScalarType.Float32, device),
            torch.zeros([1, data.TargetsPerRow], ScalarType.Float32, device),
            data.HasWeights ? torch.zeros([1], ScalarType.Float32, device) : null);
    }

    /// <summary>
    /// The error that names the first layer whose output or gradient is not finite on any rank. All ranks run the
    /// step's forward pass again, to its end.
    /// </summary>
    TrainingDivergedException DivergedTogether(ICollective ranks, DeviceBatch batch, double total, float[] gradient)
    {
        int output = -1;
        var values = new List<Tensor>();
        for (int i = 0; i < module.Layers.Length; i++)
        {
            values.Add(module.ValueOf(i, batch.Features, values));
            if (output < 0 && !IsFinite(values[i]))
                output = i;
        }
        output = ranks.Gather(output).Where(layer => layer >= 0).DefaultIfEmpty(-1).Min();
        if (output >= 0)
            return new(module.Layers[output].Path);
        DeviceParameter? parameter = !double.IsFinite(total)
            ? null
            : Array.Find(module.Parameters.Trained, parameter => !Finite.All(parameter.SliceOf(gradient)));
        return new(parameter?.LayerPath ?? "");
    }
}
