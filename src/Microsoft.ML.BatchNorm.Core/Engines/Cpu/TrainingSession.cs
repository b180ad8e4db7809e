using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>A training session of the CPU engine. Its stages are compiled once, and it keeps its memory.</summary>
sealed unsafe partial class TrainingSession : ITrainingSession
{
    readonly Network network;
    readonly TrainingData data;
    readonly Step step;
    readonly WorkerThreads workers;
    readonly BatchRows batch;
    readonly InputStage input;
    readonly List<Stage> stages;
    readonly ValueGraph values;
    readonly LossStage loss;
    readonly ParameterMemory parameters;
    readonly ParameterUpdate optimizer;
    readonly Schedule preparation, training, completion, inference;
    readonly RowBuffer last;
    readonly BatchShare? share;
    readonly int inferenceRows;
    readonly LossHistory losses = new();
    Schedule? forward;
    bool disposed;

    public TrainingSession(
        Network network, NetworkState state, TrainingOptions options, TrainingData data, int threads,
        BatchShare? share = null)
    {
        network.CheckState(state);
        data.CheckFits(network, options.Loss);
        TrainingOptions.CheckClassWeights(options, network.OutputShape.Size);
        (this.network, this.data, this.share) = (network, data, share);
        step = new Step(options.Seed, Step.BlockRowsOf(network), threads, share);
        var features = new RowBuffer(data.FeaturesPerRow);
        stages = CreateStages(network, features, step);
        last = stages.Count > 0 ? stages[^1].Output : features;
        int widest = stages.Select(stage => stage.Output.Stride).Append(features.Stride).Max();
        inferenceRows = Math.Clamp(InferenceFloats / widest, 1, InferenceRows);
        var gradient = new RowBuffer(last.Width);
        values = new ValueGraph([.. stages.Select(stage => stage.Reads)]);
        List<Stage> backward = ConnectBackward(gradient, out List<Pass> back);
        parameters = new ParameterMemory(stages.SelectMany(stage => stage.Parameters));
        foreach (Stage stage in stages)
        {
            if (state.TryGet(stage.Path) is { } layer)
                stage.Load(layer);
        }

        // All that can fail comes before this line, since what follows must be disposed of.
        batch = new BatchRows(data);
        input = new InputStage(batch, features, network.IgnoresNonFinite, step);
        loss = new LossStage(options, batch, data.TargetsPerRow, last, gradient, step);
        workers = new WorkerThreads(threads);
        optimizer = new ParameterUpdate(options.Optimizer, options.GradientClipNorm, parameters, workers);
        preparation = new Schedule(stages.SelectMany(stage => stage.Prepare()), step, workers);
        training = new Schedule(
            [
                input.FromData, .. stages.SelectMany(stage => stage.Forward()), loss.Pass, .. back,
            ], step, workers);
        completion = new Schedule(backward.SelectMany(stage => stage.Complete()), step, workers);
        inference = new Schedule([input.FromCall, .. stages.SelectMany(stage => stage.Infer())], step, workers);
    }

    public long Steps => optimizer.Steps;

    /// <summary>The number of threads that work in a step.</summary>
    public int Threads => workers.Threads;

    public void TrainOnBatch(ReadOnlySpan<int> rows, double learningRate) => TrainOnBatch(rows, learningRate, false);

    public bool TrainOnBatch(ReadOnlySpan<int> rows, double learningRate, bool wantsToStop)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        CheckRows(rows);
        Check.NotNegative(learningRate, nameof(learningRate));
        Exception? error = share is null ? BeginStep(rows) : BeginStep(share, rows);
        loss.Begin();
        preparation.Run();
        training.Run();
        completion.Run();
        double value = loss.Value;
        if (share is null)
            input.ThrowIfNonFinite(firstRow: null);
        else
            wantsToStop = Join(share.Ranks, ref value, error ?? Caught(() => input.ThrowIfNonFinite(null)), wantsToStop);
        double total = value;
        foreach (Stage stage in stages)
            total += stage.Penalize();
        if (step.Failed || !double.IsFinite(total))
            throw new TrainingDivergedException(FirstNonFinite(value));
        optimizer.Run(learningRate);
        foreach (Stage stage in stages)
            stage.Commit();
        losses.Add(total);
        // Stages use memory by its address, which is valid only while this object is reachable.
        GC.KeepAlive(this);
        return wantsToStop;
    }

    /// <summary>
    /// Runs all rows of the data forward as one batch in training mode, with the dropout of the next step. Statistics
    /// move, but nothing learns.
    /// </summary>
    /// <param name="outputs">Receives a row of outputs for each row.</param>
    /// <exception cref="InvalidDataException">A value is not finite where that is an error.</exception>
    public void Forward(Span<float> outputs)
    {
        MoveStatistics([.. Enumerable.Range(0, data.Rows)]);
        CopyOutputs(outputs);
        GC.KeepAlive(this);
    }

    /// <summary>
    /// Runs rows of the data forward as one batch in training mode, with the dropout of the next step. Statistics move,
    /// but nothing learns.
    /// </summary>
    /// <exception cref="InvalidDataException">A value is not finite where that is an error.</exception>
    public void MoveStatistics(ReadOnlySpan<int> rows)
    {
        BeginTraining(rows, rows.Length);
        forward ??= new Schedule([input.FromData, .. stages.SelectMany(stage => stage.Forward())], step, workers);
        forward.Run();
        input.ThrowIfNonFinite(firstRow: null);
        foreach (BatchNormalizationStage normalization in stages.OfType<BatchNormalizationStage>())
            normalization.TakeStatistics();
        GC.KeepAlive(this);
    }

    public void Prefetch(ReadOnlySpan<int> rows)
    {
    }

    public int ReadLosses(Span<double> target) => losses.Read(target);

    public NetworkState GetState()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        var state = new NetworkState(
            from stage in stages
            let layer = stage.Save()
            where layer is not null
            select KeyValuePair.Create(stage.Path, layer));
        GC.KeepAlive(this);
        return state;
    }

    public OptimizerState GetOptimizerState()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        OptimizerState state = optimizer.Save();
        GC.KeepAlive(this);
        return state;
    }

    public void SetOptimizerState(OptimizerState state)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        optimizer.Load(state);
        GC.KeepAlive(this);
    }

    public void Dispose()
    {
        if (disposed)
            return;
        disposed = true;
        workers.Dispose();
        batch.Dispose();
    }

    /// <summary>Makes the stages of a network. A stage may include the activation after its layer.</summary>
    static List<Stage> CreateStages(Network network, RowBuffer features, Step step)
    {
        var stages = new List<Stage>();
        IReadOnlyList<NetworkNode> nodes = network.Nodes;
        int[] places = new int[nodes.Count];
        Array.Fill(places, -1);
        for (int i = 0; i < nodes.Count; i++)
        {
            if (places[i] >= 0)
                continue;
            ImmutableArray<int> reads = [.. nodes[i].Inputs.Select(value => value < 0 ? value : places[value])];
            int? reader = network.Values.OnlyReaderOf(i);
            var context = new StageContext(
                nodes[i], i, reads, [.. reads.Select(place => place < 0 ? features : stages[place].Output)],
                reader is { } only ? nodes[only].Layer : null, step);
            Stage stage = nodes[i].Layer.CreateStage(context);
            places[i] = stages.Count;
            if (context.IncludesReader)
                places[reader!.Value] = stages.Count;
            stages.Add(stage);
        }
        return stages;
    }

    /// <summary>
    /// Gives gradient buffers to each stage that learns or comes after one that learns, and lists these stages, the
    /// last first.
    /// </summary>
    /// <param name="gradient">The gradient of the network's output.</param>
    /// <param name="passes">The backward passes of these stages.</param>
    List<Stage> ConnectBackward(RowBuffer gradient, out List<Pass> passes)
    {
        bool[] learns = values.FollowingFrom(i => stages[i].Learns);
        var gradients = new RowBuffer?[stages.Count];
        var backward = new List<Stage>();
        passes = [];
        for (int i = stages.Count - 1; i >= 0; i--)
        {
            if (!learns[i])
                continue;
            Stage stage = stages[i];
            stage.OutputGradient = i == stages.Count - 1 ? gradient : gradients[i];
            var sums = new List<Pass>();
            for (int k = 0; k < stage.Reads.Length; k++)
            {
                int value = stage.Reads[k];
                if (value < 0 || !learns[value])
                    continue;
                RowBuffer part = stage.InputGradients[k] = stage.MakeInputGradient(k);
                if (gradients[value] is { } sum)
                    sums.Add(Pass.OnRows(block => part.AddTo(sum, block)));
                else
                    gradients[value] = part;
            }
            backward.Add(stage);
            passes.AddRange([.. stage.Backward(), .. sums]);
        }
        return backward;
    }

    void BeginTraining(ReadOnlySpan<int> rows, int batchRows)
    {
        Grow(rows.Length);
        step.Begin(rows.Length);
        step.Number = Steps;
        input.SetRows(rows);
        foreach (Stage stage in stages)
            stage.BeginTraining(batchRows);
    }

    void Grow(int rows)
    {
        input.Grow(rows);
        foreach (Stage stage in stages)
            stage.Grow(rows);
    }

    void CheckRows(ReadOnlySpan<int> rows)
    {
        if (rows.IsEmpty)
            throw new ArgumentException("A batch must have a row.", nameof(rows));
        data.CheckRows(rows, share?.Shares);
    }

    /// <summary>
    /// The path of the first layer whose output or gradient is not finite, on any rank; empty for the loss.
    /// </summary>
    /// <param name="lossValue">The loss of all rows without penalties.</param>
    string FirstNonFinite(double lossValue)
    {
        int output = stages.FindIndex(stage => !IsFinite(stage.Output));
        if (share is not null)
            output = share.Ranks.Gather(output).Where(stage => stage >= 0).DefaultIfEmpty(-1).Min();
        if (output >= 0)
            return stages[output].Path;
        if (!double.IsFinite(lossValue))
            return "";
        return stages.Find(stage => stage.Parameters.Any(
            parameter => parameter.IsTrained && Finite.IndexOf(parameter.Gradients) >= 0))?.Path ?? "";
    }

    bool IsFinite(RowBuffer buffer)
    {
        for (int row = 0; row < step.Rows; row++)
        {
            if (Finite.IndexOf<float>(new(buffer.Row(row), buffer.Width)) >= 0)
                return false;
        }
        return true;
    }
}

/// <summary>The losses that have not been read yet, the oldest first.</summary>
sealed class LossHistory
{
    double[] values = new double[1024];
    int first, count;

    public void Add(double loss)
    {
        if (count == values.Length)
        {
            var more = new double[2 * count];
            CopyTo(more);
            (values, first) = (more, 0);
        }
        values[(first + count++) % values.Length] = loss;
    }

    public int Read(Span<double> target)
    {
        int read = Math.Min(target.Length, count);
        CopyTo(target[..read]);
        first = (first + read) % values.Length;
        count -= read;
        return read;
    }

    void CopyTo(Span<double> target)
    {
        for (int i = 0; i < Math.Min(target.Length, count); i++)
            target[i] = values[(first + i) % values.Length];
    }
}
