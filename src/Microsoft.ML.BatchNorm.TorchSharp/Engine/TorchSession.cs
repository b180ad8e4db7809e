namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// One training run of one network on a device. A step computes loss and gradients on the device. The step is pending
/// until the host has read whether they are finite. If so, parameters and statistics change; if not, nothing does. If
/// the data is streamed, a step stays pending until the next call, so that the host gathers the next batch while the
/// device works.
/// </summary>
sealed partial class TorchSession : ITrainingSession
{
    readonly torch.Device device;
    readonly TorchEngineOptions engineOptions;
    readonly Network network;
    readonly TrainingOptions options;
    readonly TrainingData data;
    readonly BatchShare? share;
    readonly NetworkModule module;
    readonly FeatureCheck features;
    readonly BatchLoader batches;
    readonly LossFunction loss;
    readonly TensorOptimizer optimizer;
    readonly FullFloat32 precision;
    readonly Queue<double> losses = [];
    PendingStep? pending;
    long steps;
    bool isDisposed;

    public TorchSession(
        torch.Device device, TorchEngineOptions engineOptions, Network network, NetworkState state,
        TrainingOptions options, TrainingData data, BatchShare? share = null)
    {
        (this.device, this.engineOptions, this.network, this.options) = (device, engineOptions, network, options);
        (this.data, this.share) = (data, share);
        loss = new LossFunction(options, network.OutputShape.Size, device);
        module = new NetworkModule(network, state, engineOptions.MixedPrecision, device, share);
        optimizer = TensorOptimizer.Of(options.Optimizer, module.Parameters);
        features = new FeatureCheck(network, data);
        batches = BatchLoader.Of(data, network.InputShape, device, engineOptions.DataBytesOnDevice);
        precision = new FullFloat32();
    }

    public long Steps => steps + (pending is null ? 0 : 1);

    public bool TrainOnBatch(ReadOnlySpan<int> rows, double learningRate, bool wantsToStop)
    {
        if (share is null)
        {
            TrainOnBatch(rows, learningRate);
            return wantsToStop;
        }
        ObjectDisposedException.ThrowIf(isDisposed, this);
        batches.Check(rows, share.Shares);
        return TrainTogether(share, rows, learningRate, wantsToStop);
    }

    public void TrainOnBatch(ReadOnlySpan<int> rows, double learningRate)
    {
        if (share is not null)
        {
            TrainOnBatch(rows, learningRate, wantsToStop: false);
            return;
        }
        ObjectDisposedException.ThrowIf(isDisposed, this);
        batches.Check(rows);
        int[] numbers = rows.ToArray();
        CompleteStep();
        features.Check(numbers);
        foreach (LayerModule layer in module.Layers)
            layer.CheckBatchSize(rows.Length);
        using CpuThreads threads = Threads();
        using (var scope = torch.NewDisposeScope())
        {
            module.SetTraining(true);
            module.BeginStep(options.Seed, steps);
            try
            {
                pending = PendingStep.Of(
                    module.Parameters, Loss(batches.Take(rows)), numbers, learningRate,
                    needsNorm: options.GradientClipNorm is not null);
            }
            catch
            {
                module.UndoStep();
                throw;
            }
        }
        if (!batches.IsStreaming)
            CompleteStep();
    }

    public void Prefetch(ReadOnlySpan<int> rows)
    {
        batches.Check(rows, share?.Shares);
        int[] own = Own(rows.ToArray());
        if (own.Length > 0)
            batches.Prefetch(own);
    }

    public int ReadLosses(Span<double> read)
    {
        CompleteStep();
        int count = Math.Min(read.Length, losses.Count);
        for (int i = 0; i < count; i++)
            read[i] = losses.Dequeue();
        return count;
    }

    public void RecomputeStatistics(IReadOnlyCollection<int> rows)
    {
        ObjectDisposedException.ThrowIf(isDisposed, this);
        ArgumentNullException.ThrowIfNull(rows);
        if (rows.Count == 0)
            throw new ArgumentException("There must be a row.", nameof(rows));
        CompleteStep();
        IReadOnlyCollection<int> own = share is null ? rows : Own(rows);
        Exception? error = null;
        try
        {
            features.Check(own);
        }
        catch (Exception exception) when (share is not null)
        {
            error = exception;
        }
        module.SetTraining(false);
        using CpuThreads threads = Threads();
        new NetworkStatisticsRecomputation(
            module, batches, network, engineOptions.DataBytesOnDevice, share?.Ranks, error).Run(own);
    }

    public void SetStatistics(NetworkState state)
    {
        ObjectDisposedException.ThrowIf(isDisposed, this);
        network.CheckState(state);
        CompleteStep();
        foreach (BatchNormalizationModule layer in module.BatchNormalizations.Where(layer => layer.MovesStatistics))
            layer.SetStatistics(state[layer.Path].BatchNormalization!);
    }

    public void Predict(ReadOnlySpan<float> features, Span<float> outputs)
    {
        ObjectDisposedException.ThrowIf(isDisposed, this);
        int inputs = network.InputShape.Size, width = network.OutputShape.Size, rows = features.Length / inputs;
        if (rows * inputs != features.Length || rows * width != outputs.Length)
            throw new ArgumentException(
                $"{features.Length} features and {outputs.Length} outputs are no rows of {inputs} and {width}.");
        CompleteStep();
        this.features.Check(features);
        module.SetTraining(false);
        using CpuThreads threads = Threads();
        using IDisposable noGradient = torch.no_grad();
        int chunk = module.ChunkRows(rows);
        for (int row = 0; row < rows; row += chunk)
        {
            int count = Math.Min(chunk, rows - row);
            using var scope = torch.NewDisposeScope();
            long[] shape = Array.ConvertAll(network.InputShape.WithRows(count), d => (long)d);
            Tensor x = Tensors.Upload(features.Slice(row * inputs, count * inputs), device, shape);
            Tensors.Download(module.forward(x), outputs.Slice(row * width, count * width));
        }
    }

    public NetworkState GetState()
    {
        ObjectDisposedException.ThrowIf(isDisposed, this);
        CompleteStep();
        IReadOnlyDictionary<string, float[]> values = module.Parameters.Read();
        return new(module.Layers.Select(layer => (layer.Path, State: layer.GetState(values)))
            .Where(entry => entry.State is not null)
            .Select(entry => KeyValuePair.Create(entry.Path, entry.State!)));
    }

    public OptimizerState GetOptimizerState()
    {
        ObjectDisposedException.ThrowIf(isDisposed, this);
        CompleteStep();
        return new(steps, optimizer.Read());
    }

    public void SetOptimizerState(OptimizerState state)
    {
        ObjectDisposedException.ThrowIf(isDisposed, this);
        ArgumentNullException.ThrowIfNull(state);
        ArgumentOutOfRangeException.ThrowIfNegative(state.Steps, nameof(state));
        CompleteStep();
        if (state.Steps == 0 && state.Moments.IsEmpty)
            optimizer.Clear();
        else
            optimizer.Write(state.Moments);
        steps = state.Steps;
    }

    public void Dispose()
    {
        if (isDisposed)
            return;
        isDisposed = true;
        pending?.Dispose();
        pending = null;
        batches.Dispose();
        optimizer.Dispose();
        module.Dispose();
        loss.Dispose();
        precision.Dispose();
    }

    /// <summary>This rank's rows, as indices into its data.</summary>
    int[] Own(IReadOnlyCollection<int> rows) => share is null ? [.. rows] : data.OwnRows(rows, share.Shares);

    CpuThreads Threads() => new(device, engineOptions.Threads);

    /// <summary>The loss of a batch plus the penalties of all layers.</summary>
    Tensor Loss(DeviceBatch batch) =>
        WithPenalties(loss.Of(module.forward(batch.Features), batch).to(ScalarType.Float64));

    Tensor WithPenalties(Tensor total)
    {
        foreach (LayerModule layer in module.Layers)
            total = layer.Penalty() is { } penalty ? total.add(penalty, Scalars.One) : total;
        return total;
    }

    /// <summary>
    /// Completes the pending step, if there is one: checks that it is finite, and changes parameters and statistics.
    /// </summary>
    void CompleteStep()
    {
        if (pending is not { } step)
            return;
        pending = null;
        using CpuThreads threads = Threads();
        using (step)
        using (torch.NewDisposeScope())
        {
            StepResult result = step.Read();
            if (!step.IsFinite(result))
            {
                TrainingDivergedException error = Diverged(step);
                module.UndoStep();
                throw error;
            }
            using IDisposable noGradient = torch.no_grad();
            Apply(step.Gradient, result.GradientNorm, step.LearningRate, step.Rows.Length, result.Loss);
        }
    }

    /// <summary>
    /// Changes parameters and statistics by a step. Call it inside a dispose scope and without gradients.
    /// </summary>
    void Apply(Tensor? gradient, double norm, double learningRate, int rows, double value)
    {
        if (gradient is not null)
        {
            optimizer.Apply(Clipped(gradient, norm), learningRate, steps + 1);
            foreach (LayerModule layer in module.Layers)
                layer.Constrain(module.Parameters.Values);
        }
        CommitStatistics(rows);
        steps++;
        losses.Enqueue(value);
    }

    void CommitStatistics(int rows)
    {
        bool moved = false;
        foreach (BatchNormalizationModule layer in module.BatchNormalizations.Where(layer => layer.MovesStatistics))
        {
            layer.Commit(rows);
            moved = true;
        }
        if (moved)
            module.Averages.Update();
    }

    /// <summary>
    /// The error that names the first layer whose output or gradient is not finite. Runs the step's forward pass again.
    /// </summary>
    TrainingDivergedException Diverged(PendingStep step)
    {
        using IDisposable noGradient = torch.no_grad();
        DeviceBatch batch = batches.Take(step.Rows);
        module.SetTraining(true);
        var values = new List<Tensor>();
        foreach ((int i, LayerModule layer) in module.Layers.Index())
        {
            values.Add(module.ValueOf(i, batch.Features, values));
            if (!IsFinite(values[i]))
                return new(layer.Path);
        }
        if (step.Gradient is null || !IsFinite(loss.Of(values[^1], batch)))
            return new("");
        DeviceParameter? parameter = Array.Find(
            module.Parameters.Trained, parameter => !IsFinite(parameter.SliceOf(step.Gradient)));
        return new(parameter?.LayerPath ?? "");
    }

    static bool IsFinite(Tensor tensor) => tensor.isfinite().all().item<bool>();

    Tensor Clipped(Tensor gradient, double norm) =>
        options.GradientClipNorm is { } limit && norm > limit ? gradient.mul_(Scalars.Of(limit / norm)) : gradient;
}

/// <summary>What the host reads of a step.</summary>
/// <param name="Loss">The loss.</param>
/// <param name="GradientSum">The sum of the gradient's values, in float. It overflows if they are large.</param>
/// <param name="GradientNorm">The norm of the gradient, or its sum again if the norm is not needed.</param>
readonly record struct StepResult(double Loss, double GradientSum, double GradientNorm);

/// <summary>
/// A step whose loss and gradient are on the device. It has changed neither parameters nor statistics yet.
/// </summary>
sealed class PendingStep : IDisposable
{
    readonly Tensor result;

    PendingStep(Tensor result, Tensor? gradient, int[] rows, double learningRate) =>
        (this.result, Gradient, Rows, LearningRate) = (result, gradient, rows, learningRate);

    /// <summary>
    /// The gradient of all trained parameters, valid until the next step computes its own. Null if there are none.
    /// </summary>
    public Tensor? Gradient { get; }

    public int[] Rows { get; }

    public double LearningRate { get; }

    /// <summary>Computes the gradient of a loss. Call it inside a dispose scope.</summary>
    public static PendingStep Of(
        ParameterVector parameters, Tensor loss, int[] rows, double learningRate, bool needsNorm)
    {
        Tensor sum = torch.zeros_like(loss), norm = sum;
        if (parameters.Length > 0)
        {
            parameters.ComputeGradient(loss);
            using IDisposable noGradient = torch.no_grad();
            sum = parameters.Gradient.sum().to(ScalarType.Float64);
            norm = needsNorm ? parameters.GradientNorm() : sum;
        }
        return new(
            Tensors.Keep(torch.stack([loss.detach(), sum, norm])), parameters.Length > 0 ? parameters.Gradient : null,
            rows, learningRate);
    }

    public StepResult Read()
    {
        double[] values = Tensors.Download<double>(result);
        return new(values[0], values[1], values[2]);
    }

    /// <summary>Whether loss and gradients are finite.</summary>
    public bool IsFinite(StepResult read) =>
        double.IsFinite(read.Loss) && (double.IsFinite(read.GradientSum) || Gradient!.isfinite().all().item<bool>());

    public void Dispose() => result.Dispose();
}
