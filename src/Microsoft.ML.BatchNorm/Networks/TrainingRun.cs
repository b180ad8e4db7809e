using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Trainers;

/// <summary>One training, which reports to ML.NET's channels and which its host can cancel.</summary>
sealed class TrainingRun(
    IHost host, IChannel channel, BatchNormNetworkTrainerOptions options, TrainingOptions training,
    TargetScale? scale)
{
    /// <summary>A moving average with more than this share of its initial value is visibly biased.</summary>
    const double LargeInitialWeight = 0.05;

    public TrainingResult Train(SavedNetwork start, TrainingData data, TrainingData? validation)
    {
        (options.Engine?.Collective.IfSeveral()).Do(host.CheckAlive);
        using IProgressChannel progress = host.StartProgressChannel("Training");
        ITrainingEngine engine = EngineChoice.Of(host, channel, options.Engine, options.NumberOfThreads);
        if (scale is { } targets)
            engine = new StandardizedTargets(engine, targets);
        try
        {
            TrainingResult result = NetworkTrainer.Start(
                start.Network, start.State, data, training, options.FineTune, validation, engine,
                new Report(channel, progress, options.Progress), TimeProvider.System, options.CancellationToken,
                () => host is ICancelable { IsCanceled: true });
            if (result.StoppedEarly)
                channel.Info($"Training stopped early; epoch {result.BestEpoch} has the lowest validation loss.");
            WarnOfBias(result);
            if (!options.RecomputeStatistics)
                WarnOfSmallBatches(result, data.Rows);
            return result;
        }
        catch (Exception error) when (error is TrainingDivergedException or InvalidDataException)
        {
            throw host.Except(error, error.Message);
        }
        catch (NotSupportedException error)
        {
            host.Process(error);
            throw;
        }
        catch (ArgumentException error) when (!error.IsMarked())
        {
            throw host.ExceptUserArg(
                options.FineTune is null ? nameof(options.Network) : nameof(options.FineTune), Check.Text(error));
        }
    }

    void WarnOfBias(TrainingResult result)
    {
        foreach (NetworkNode node in result.Network.Nodes)
        {
            if (result.State.TryGet(node.Path)?.BatchNormalization is { InitialWeight: > LargeInitialWeight } state)
            {
                channel.Warning(
                    $"Layer '{node.Path}': {state.InitialWeight:P0} of its moving statistics is still their initial " +
                    (node.MovesStatistics
                        ? "value. Train more epochs, take a smaller momentum, or set RecomputeStatistics."
                        : "value, since its switches keep them from moving. Unfreeze it, or begin with statistics."));
            }
        }
    }

    void WarnOfSmallBatches(TrainingResult result, int rows)
    {
        foreach (NetworkNode node in result.Network.Nodes.Where(node => node.MovesStatistics))
        {
            var layer = (BatchNormalizationLayer)node.Layer;
            ChannelLayout row = layer.Layout(node.Input, 1);
            long values = BatchValues.PerChannel(layer.Options, row, training.BatchSize);
            if (layer.Options.EffectiveMovingStatistics != MovingStatistics.Population
                && BatchValues.AreFew(layer.Options, values) && (long)rows * row.Positions > values)
            {
                channel.Warning(
                    $"Layer '{node.Path}': {BatchValues.DescribeFew(values)} Set RecomputeStatistics, or take a " +
                    "greater BatchSize or VarianceConvention.Sample.");
            }
        }
    }

    /// <summary>
    /// Keeps the last progress, for which ML.NET may ask, reports the end of each epoch, and passes everything on.
    /// </summary>
    sealed class Report : IProgress<TrainingProgress>
    {
        static readonly string[] metrics = ["loss", "validation loss", "rows/s"], units = ["epochs", "steps"];

        readonly IChannel channel;
        readonly IProgressChannel progress;
        readonly IProgress<TrainingProgress>? user;
        volatile TrainingProgress? last;

        public Report(IChannel channel, IProgressChannel progress, IProgress<TrainingProgress>? user)
        {
            (this.channel, this.progress, this.user) = (channel, progress, user);
            progress.SetHeader(new ProgressHeader(metrics, units), Fill);
        }

        void IProgress<TrainingProgress>.Report(TrainingProgress value)
        {
            last = value;
            user?.Report(value);
            if (!value.IsEndOfEpoch)
                return;
            progress.Checkpoint(
                value.Loss, value.ValidationLoss, value.RowsPerSecond,
                value.Epoch, value.Step, value.Epochs, value.StepsPerEpoch);
            string phase = value.Phase.Length == 0 ? "" : $" of phase '{value.Phase}'";
            string validation = value.ValidationLoss is { } loss
                ? FormattableString.Invariant($", validation loss {loss:G5}")
                : "";
            channel.Info(FormattableString.Invariant(
                $"Epoch {value.Epoch} of {value.Epochs}{phase}: loss {value.Loss:G5}{validation}, ")
                + FormattableString.Invariant($"{value.RowsPerSecond:F0} rows/s."));
        }

        void Fill(IProgressEntry entry)
        {
            if (last is not { } value)
                return;
            entry.SetMetric(0, value.Loss);
            if (value.ValidationLoss is { } loss)
                entry.SetMetric(1, loss);
            entry.SetMetric(2, value.RowsPerSecond);
            entry.SetProgress(0, value.IsEndOfEpoch ? value.Epoch : value.Epoch - 1, value.Epochs);
            entry.SetProgress(1, value.Step, value.StepsPerEpoch);
        }
    }
}
