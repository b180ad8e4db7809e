namespace Microsoft.ML.BatchNorm;

sealed unsafe partial class TrainingSession
{
    /// <summary>
    /// The most rows that inference runs at a time, whatever the batch size of training is, and the most floats that
    /// these rows may have in a buffer.
    /// </summary>
    const int InferenceRows = 512, InferenceFloats = 1 << 22;

    public void Predict(ReadOnlySpan<float> features, Span<float> outputs)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        int width = network.InputShape.Size, outputWidth = network.OutputShape.Size;
        int rows = features.Length / width;
        if (features.Length % width != 0)
            throw new ArgumentException(
                $"There are {features.Length} features, not a multiple of {width} per row.", nameof(features));
        if (outputs.Length != (long)rows * outputWidth)
            throw new ArgumentException(
                $"There is room for {outputs.Length} outputs; {rows} rows have {(long)rows * outputWidth}.",
                nameof(outputs));
        // If a layer normalizes rows with their own statistics, all rows of a call are one batch.
        int most = stages.Exists(stage => stage is BatchNormalizationStage { InfersFromBatch: true })
            ? Math.Max(rows, 1)
            : inferenceRows;
        fixed (float* source = features)
        {
            for (int first = 0; first < rows; first += most)
            {
                int count = Math.Min(most, rows - first);
                Begin(count);
                input.SetSource(source + (nint)first * width);
                inference.Run();
                input.ThrowIfNonFinite(first);
                CopyOutputs(outputs.Slice(first * outputWidth, count * outputWidth));
            }
        }
        GC.KeepAlive(this);
    }

    public void RecomputeStatistics(IReadOnlyCollection<int> rows)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        ArgumentNullException.ThrowIfNull(rows);
        if (rows.Count == 0)
            throw new ArgumentException("There must be a row.", nameof(rows));
        if (share is not null)
            rows = data.OwnRows(rows, share.Shares);
        int[] numbers = new int[Math.Min(inferenceRows, rows.Count)];
        var kept = new KeptInputs((rows.Count + inferenceRows - 1) / inferenceRows);
        int settled = -1, final = stages.FindLastIndex(Moves);
        bool[] isNeeded = values.LeadingTo(i => Moves(stages[i]));
        for (int i = 0; i < stages.Count; i++)
        {
            if (!Moves(stages[i]))
                continue;
            var normalization = (BatchNormalizationStage)stages[i];
            // Nothing is kept at the last normalization, nor if the stages from here on read only the features.
            RowBuffer[] open = OpenAt(i), next = i == final || open is [var only] && only == input.Output ? [] : open;
            Pass[] last = [normalization.BeginRecompute(), kept.Keep(next)];
            var fromFeatures = new Schedule([input.FromData, .. Infer(0, i), .. last], step, workers);
            Schedule? fromKept = settled < 0
                ? null
                : new Schedule([kept.Restore(OpenAt(settled)), .. Infer(settled, i), .. last], step, workers);
            Exception? error = null;
            try
            {
                Collect(kept, next, fromFeatures, fromKept);
            }
            catch (Exception exception) when (share is not null)
            {
                error = exception;
            }
            normalization.EndRecompute(error);
            settled = i;
        }
        GC.KeepAlive(this);

        void Collect(KeptInputs kept, RowBuffer[] next, Schedule fromFeatures, Schedule? fromKept)
        {
            using IEnumerator<int> numbered = rows.GetEnumerator();
            for (int chunk = 0; chunk < kept.Chunks; chunk++)
            {
                int count = 0;
                while (count < numbers.Length && numbered.MoveNext())
                    numbers[count++] = numbered.Current;
                data.CheckRows(numbers.AsSpan(0, count));
                Begin(count);
                if (kept.Begin(chunk, count, next))
                {
                    fromKept!.Run();
                    continue;
                }
                input.SetRows(numbers.AsSpan(0, count));
                fromFeatures.Run();
                input.ThrowIfNonFinite(firstRow: null);
            }
        }

        static bool Moves(Stage stage) => stage is BatchNormalizationStage { Moves: true };

        IEnumerable<Pass> Infer(int from, int to) => Enumerable.Range(from, to - from)
            .Where(i => isNeeded[i]).SelectMany(i => stages[i].Infer());

        // The buffers from which the stages can go on. Two values may share a buffer, such as a Flatten and its input.
        RowBuffer[] OpenAt(int stage) =>
        [
            .. values.OpenAt(stage, i => i <= final && isNeeded[i])
                .Select(value => value < 0 ? input.Output : stages[value].Output).Distinct(),
        ];
    }

    /// <summary>
    /// The exact statistics of what each batch normalization with moving statistics gets of the given rows, while all
    /// layers are as they are served. Nothing changes.
    /// </summary>
    /// <param name="rows">Rows of the session's data.</param>
    /// <exception cref="InvalidDataException">A feature is not finite where that is an error.</exception>
    public Dictionary<string, BatchStatistics> InputStatistics(IReadOnlyCollection<int> rows)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        BatchNormalizationStage[] normalizations =
            [.. stages.OfType<BatchNormalizationStage>().Where(stage => !stage.InfersFromBatch)];
        var schedule = new Schedule(
            [
                input.FromData,
                .. stages.SelectMany(stage => normalizations.Contains(stage)
                    ? stage.Infer().Prepend(((BatchNormalizationStage)stage).BeginRecompute())
                    : stage.Infer()),
            ], step, workers);
        int[] numbers = new int[Math.Min(inferenceRows, rows.Count)];
        using IEnumerator<int> numbered = rows.GetEnumerator();
        for (int left = rows.Count; left > 0; left -= numbers.Length)
        {
            int count = 0;
            while (count < numbers.Length && numbered.MoveNext())
                numbers[count++] = numbered.Current;
            data.CheckRows(numbers.AsSpan(0, count));
            Begin(count);
            input.SetRows(numbers.AsSpan(0, count));
            schedule.Run();
            input.ThrowIfNonFinite(firstRow: null);
        }
        GC.KeepAlive(this);
        return normalizations.ToDictionary(stage => stage.Path, stage => stage.EndMeasurement());
    }

    public void SetStatistics(NetworkState state)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        network.CheckState(state);
        foreach (BatchNormalizationStage normalization in
            stages.OfType<BatchNormalizationStage>().Where(stage => stage.Moves))
            normalization.SetStatistics(state[normalization.Path].BatchNormalization!);
        GC.KeepAlive(this);
    }

    void CopyOutputs(Span<float> outputs)
    {
        for (int row = 0; row < step.Rows; row++)
            new ReadOnlySpan<float>(last.Row(row), last.Width).CopyTo(outputs[(row * last.Width)..]);
    }

    void Begin(int rows)
    {
        Grow(rows);
        step.Begin(rows);
        foreach (Stage stage in stages)
            stage.BeginInference(rows);
    }
}

/// <summary>
/// Values that are kept when the statistics of a normalization are settled. For the next normalization the stages go on
/// from these, and the stages before them need not run again. Rows are kept in chunks, as many as fit into a memory
/// budget; for other chunks, the stages start again from the features.
/// </summary>
/// <param name="chunks">The number of chunks.</param>
sealed unsafe class KeptInputs(int chunks)
{
    /// <summary>The budget: 256 MiB, or an eighth of the available memory if that is less.</summary>
    static readonly long mostFloats =
        Math.Min(1 << 26, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (8 * sizeof(float)));

    readonly AlignedMemory<float>?[] inputs = new AlignedMemory<float>?[chunks];
    AlignedMemory<float>? source, target;
    long floats;

    public int Chunks => chunks;

    /// <summary>Makes a chunk the current one. Returns whether values of it were kept the last time.</summary>
    /// <param name="chunk">The chunk.</param>
    /// <param name="rows">Its number of rows.</param>
    /// <param name="next">The buffers to keep for it this time; empty for none.</param>
    public bool Begin(int chunk, int rows, RowBuffer[] next)
    {
        source = inputs[chunk];
        floats -= source?.Length ?? 0;
        long length = rows * FloatsPerRow(next);
        bool fits = length > 0 && floats + length <= mostFloats;
        // New values may overwrite old ones in place: a block of rows has the same range, and is restored first.
        target = !fits ? null : source?.Length == length ? source : new AlignedMemory<float>(length);
        floats += target?.Length ?? 0;
        inputs[chunk] = target;
        return source is not null;
    }

    /// <summary>A pass that copies the values that were kept of the chunk back into their buffers.</summary>
    public Pass Restore(RowBuffer[] buffers) => Pass.OnRows(block =>
    {
        Span<float> kept = Of(source!, block, buffers);
        foreach (RowBuffer buffer in buffers)
        {
            kept[..(block.Rows * buffer.Stride)].CopyTo(In(buffer, block));
            kept = kept[(block.Rows * buffer.Stride)..];
        }
    });

    /// <summary>A pass that keeps the values in the buffers, if the budget allows.</summary>
    public Pass Keep(RowBuffer[] buffers) => Pass.OnRows(block =>
    {
        if (target is null)
            return;
        Span<float> kept = Of(target, block, buffers);
        foreach (RowBuffer buffer in buffers)
        {
            In(buffer, block).CopyTo(kept);
            kept = kept[(block.Rows * buffer.Stride)..];
        }
    });

    static Span<float> In(RowBuffer buffer, RowBlock block) =>
        new(buffer.Row(block.First), block.Rows * buffer.Stride);

    static Span<float> Of(AlignedMemory<float> memory, RowBlock block, RowBuffer[] buffers)
    {
        int perRow = (int)FloatsPerRow(buffers);
        return memory.Span.Slice(block.First * perRow, block.Rows * perRow);
    }

    static long FloatsPerRow(RowBuffer[] buffers) => buffers.Sum(buffer => (long)buffer.Stride);
}
