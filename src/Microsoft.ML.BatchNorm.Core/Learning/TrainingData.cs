using System.Diagnostics.Contracts;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Rows to train on or to validate with: features, targets, and weights if there are any. The rows are in memory, which
/// must not change during the run, or are read from an <see cref="ITrainingRows"/>.
/// </summary>
public sealed class TrainingData
{
    readonly Lock reading = new();
    readonly ReadOnlyMemory<float> features, targets, weights;
    RowInspection? inspection;

    /// <summary>Takes rows that are in memory.</summary>
    /// <param name="rows">The number of rows.</param>
    /// <param name="features">Row after row, as many finite values each as a network has inputs.</param>
    /// <param name="targets">
    /// Row after row: the index of the class for <see cref="Loss.SoftmaxCrossEntropy"/>, else one finite value per
    /// output.
    /// </param>
    /// <param name="weights">One weight per row, finite and not negative; empty for equal weights.</param>
    /// <exception cref="ArgumentException">
    /// A length is not a multiple of the rows, or a weight is out of range.
    /// </exception>
    public TrainingData(
        int rows, ReadOnlyMemory<float> features, ReadOnlyMemory<float> targets,
        ReadOnlyMemory<float> weights = default)
    {
        Rows = Check.Positive(rows, nameof(rows));
        FeaturesPerRow = PerRow(features, rows, nameof(features));
        TargetsPerRow = PerRow(targets, rows, nameof(targets));
        if (weights.Length != 0 && weights.Length != rows)
            throw new ArgumentException($"There are {weights.Length} weights for {rows} rows.", nameof(weights));
        CheckWeights(weights.Span, nameof(weights));
        (this.features, this.targets, this.weights) = (features, targets, weights);
        HasWeights = !weights.IsEmpty;
    }

    /// <summary>
    /// Takes rows that are read when they are needed, so that there can be more than fit in memory. A run gives the
    /// same bits as with the same rows in memory.
    /// </summary>
    /// <param name="source">The rows. Weights are checked when a run or a session begins.</param>
    /// <exception cref="ArgumentOutOfRangeException">One of the source's numbers is not positive.</exception>
    public TrainingData(ITrainingRows source)
    {
        ArgumentNullException.ThrowIfNull(source);
        Source = source;
        Rows = Check.Positive(source.Rows, nameof(source.Rows));
        FeaturesPerRow = Check.Positive(source.FeaturesPerRow, nameof(source.FeaturesPerRow));
        TargetsPerRow = Check.Positive(source.TargetsPerRow, nameof(source.TargetsPerRow));
        HasWeights = source.HasWeights;
    }

    /// <summary>Takes the same rows, with each target replaced by a function of it.</summary>
    internal TrainingData(TrainingData data, Func<float, float> target)
    {
        (Rows, FeaturesPerRow, TargetsPerRow) = (data.Rows, data.FeaturesPerRow, data.TargetsPerRow);
        HasWeights = data.HasWeights;
        if (data.Source is { } source)
        {
            Source = new MappedTargets(source, target);
            inspection = data.Inspection;
            return;
        }
        (features, weights) = (data.features, data.weights);
        targets = Array.ConvertAll(data.targets.ToArray(), value => target(value));
    }

    /// <summary>The number of rows.</summary>
    public int Rows { get; }

    /// <summary>The number of values in a row's features.</summary>
    public int FeaturesPerRow { get; }

    /// <summary>The number of values in a row's targets.</summary>
    public int TargetsPerRow { get; }

    /// <summary>Whether each row has a weight.</summary>
    public bool HasWeights { get; }

    /// <summary>Where the rows are read from; null for rows in memory.</summary>
    public ITrainingRows? Source { get; }

    /// <summary>The features in memory, row after row.</summary>
    /// <exception cref="InvalidOperationException">The rows are read from a <see cref="Source"/>.</exception>
    public ReadOnlyMemory<float> Features => InMemory(features);

    /// <summary>The targets in memory, row after row.</summary>
    /// <exception cref="InvalidOperationException">The rows are read from a <see cref="Source"/>.</exception>
    public ReadOnlyMemory<float> Targets => InMemory(targets);

    /// <summary>One weight per row, in memory; or empty.</summary>
    /// <exception cref="InvalidOperationException">The rows are read from a <see cref="Source"/>.</exception>
    public ReadOnlyMemory<float> Weights => InMemory(weights);

    internal int ValuesPerRow => FeaturesPerRow + TargetsPerRow + (HasWeights ? 1 : 0);

    /// <summary>What reading the source's rows once has shown; null for rows in memory.</summary>
    internal RowInspection? Inspection
    {
        get
        {
            Inspect(() => { });
            return inspection;
        }
    }

    /// <summary>Copies rows, one after the other, from memory or from the source.</summary>
    /// <param name="rows">Their numbers, from 0.</param>
    /// <param name="features">Receives <see cref="FeaturesPerRow"/> values for each of them.</param>
    /// <param name="targets">Receives <see cref="TargetsPerRow"/> values for each of them.</param>
    /// <param name="weights">Receives one value for each of them; empty without <see cref="HasWeights"/>.</param>
    /// <exception cref="ArgumentException">A length does not fit, or a row does not exist.</exception>
    /// <exception cref="IOException">The source's rows cannot be read.</exception>
    public void Read(ReadOnlySpan<int> rows, Span<float> features, Span<float> targets, Span<float> weights)
    {
        CheckLength(features, rows.Length, FeaturesPerRow, nameof(features));
        CheckLength(targets, rows.Length, TargetsPerRow, nameof(targets));
        CheckLength(weights, rows.Length, HasWeights ? 1 : 0, nameof(weights));
        CheckRows(rows);
        if (Source is not null)
        {
            lock (reading)
                Source.Read(rows, features, targets, weights);
            return;
        }
        Gather(rows, this.features.Span, FeaturesPerRow, features);
        Gather(rows, this.targets.Span, TargetsPerRow, targets);
        if (HasWeights)
            Gather(rows, this.weights.Span, 1, weights);
    }

    /// <summary>
    /// The share of one of several processes: every n-th row from row r on, for rank r of n. If each rank trains on its
    /// share, the same options give the same training on any number of ranks, to rounding.
    /// </summary>
    /// <param name="collective">The ranks, which all have the same rows.</param>
    /// <exception cref="ArgumentException">There are fewer rows than ranks.</exception>
    [Pure]
    public TrainingData Share(ICollective collective)
    {
        ArgumentNullException.ThrowIfNull(collective);
        int size = collective.Size, first = collective.Rank;
        if (size == 1)
            return this;
        if (Rows < size)
            throw new ArgumentException($"There are {Rows} rows for {size} ranks.", nameof(collective));
        int rows = (Rows - first + size - 1) / size;
        if (Source is { } source)
            return new TrainingData(new EveryNth(source, first, size, rows));
        int[] numbers = [.. Enumerable.Range(0, rows).Select(row => first + row * size)];
        float[] x = new float[rows * FeaturesPerRow], y = new float[rows * TargetsPerRow];
        float[] w = new float[HasWeights ? rows : 0];
        Read(numbers, x, y, w);
        return new TrainingData(rows, x, y, w);
    }

    /// <summary>
    /// Rows for work that needs no targets. Each row's target is class 0, which the default loss of
    /// <see cref="TrainingOptions"/> accepts.
    /// </summary>
    /// <exception cref="ArgumentException">The features are not rows of the network's inputs.</exception>
    internal static TrainingData WithoutTargets(Network network, ReadOnlyMemory<float> features)
    {
        int inputs = network.InputShape.Size, rows = features.Length / inputs;
        if (rows == 0 || features.Length % inputs != 0)
            throw new ArgumentException(
                $"There are {features.Length} features, not rows of the {inputs} that the network's input "
                + $"{network.InputShape} has.", nameof(features));
        return new TrainingData(rows, features, new float[rows]);
    }

    /// <summary>Checks that the data fits a network and a loss.</summary>
    /// <exception cref="ArgumentException">
    /// The number of features or targets differs; a target is not the index of a class, and the message names the row;
    /// or a weight of a <see cref="Source"/> is out of range.
    /// </exception>
    public void CheckFits(Network network, Loss loss)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(loss);
        if (FeaturesPerRow != network.InputShape.Size)
            throw new ArgumentException(
                $"A row has {FeaturesPerRow} features; the network's input {network.InputShape} has "
                + $"{network.InputShape.Size}.");
        int outputs = network.OutputShape.Size, targets = loss.TargetsPerRow(outputs);
        if (TargetsPerRow != targets)
            throw new ArgumentException(
                $"A row has {TargetsPerRow} targets; {loss.GetType().Name} on {outputs} outputs needs {targets}.");
        bool areKnown = Inspection is { AreClasses: true } known && known.GreatestTarget < outputs;
        if (loss is SoftmaxCrossEntropyLoss && !areKnown)
            CheckClasses(outputs);
    }

    /// <summary>Reads all rows of a source to check them, unless that was done before.</summary>
    /// <param name="check">Called before each part is read; it may throw.</param>
    /// <param name="shares">The rows of all ranks; null for one, or if the checksums do not matter.</param>
    /// <exception cref="ArgumentException">A weight is out of range.</exception>
    internal void Inspect(Action check, RowShares? shares = null)
    {
        if (Source is not null && (inspection is null || (shares is not null && inspection.Checksums.Shares != shares)))
            inspection = RowInspection.Of(this, check, shares);
    }

    /// <exception cref="ArgumentException">A row does not exist.</exception>
    internal void CheckRows(ReadOnlySpan<int> rows, RowShares? shares = null)
    {
        int count = shares?.Total ?? Rows;
        foreach (int row in rows)
        {
            if ((uint)row >= (uint)count)
                throw new ArgumentException($"There is no row {row}; the data has {count}.", nameof(rows));
        }
    }

    /// <summary>This rank's rows, as indices into its data, of rows by their numbers on all ranks.</summary>
    internal int[] OwnRows(IEnumerable<int> numbers, RowShares shares)
    {
        var own = new List<int>();
        foreach (int number in numbers)
        {
            CheckRows([number], shares);
            int index = shares.IndexOf(number);
            if (index >= 0)
                own.Add(index);
        }
        return [.. own];
    }

    /// <exception cref="ArgumentException">A weight is out of range.</exception>
    internal static void CheckWeights(ReadOnlySpan<float> weights, string name)
    {
        foreach (float weight in weights)
        {
            if (!(weight >= 0 && float.IsFinite(weight)))
                throw new ArgumentException($"A weight is {weight}; it must be finite and not negative.", name);
        }
    }

    internal static bool IsClass(float target) => target >= 0 && target == MathF.Floor(target);

    void CheckClasses(int classes)
    {
        if (Source is null)
        {
            CheckPart(0, targets.Span);
            return;
        }
        int first = 0;
        foreach (RowPart part in RowPart.Of(this))
        {
            CheckPart(first, part.Targets);
            first += part.Rows.Length;
        }

        void CheckPart(int first, ReadOnlySpan<float> targets)
        {
            for (int i = 0; i < targets.Length; i++)
            {
                if (!(IsClass(targets[i]) && targets[i] < classes))
                    throw new ArgumentException(
                        $"Row {first + i} has the class {targets[i]}; there are classes 0 to {classes - 1}.");
            }
        }
    }

    ReadOnlyMemory<float> InMemory(ReadOnlyMemory<float> values) => Source is null
        ? values
        : throw new InvalidOperationException("The rows are not in memory: they are read from Source, with Read.");

    static void Gather(ReadOnlySpan<int> rows, ReadOnlySpan<float> from, int perRow, Span<float> to)
    {
        for (int i = 0; i < rows.Length; i++)
            from.Slice(rows[i] * perRow, perRow).CopyTo(to[(i * perRow)..]);
    }

    static void CheckLength(Span<float> values, int rows, int perRow, string name)
    {
        if (values.Length != (long)rows * perRow)
            throw new ArgumentException(
                $"There is room for {values.Length} {name}; {rows} rows have {(long)rows * perRow}.", name);
    }

    static int PerRow(ReadOnlyMemory<float> values, int rows, string name) =>
        values.Length > 0 && values.Length % rows == 0
            ? values.Length / rows
            : throw new ArgumentException(
                $"The argument {name} has {values.Length} values, not a multiple of {rows} rows.", name);

    sealed class EveryNth(ITrainingRows rows, int first, int step, int count) : ITrainingRows
    {
        int[] numbers = [];

        public int Rows => count;

        public int FeaturesPerRow => rows.FeaturesPerRow;

        public int TargetsPerRow => rows.TargetsPerRow;

        public bool HasWeights => rows.HasWeights;

        public void Read(ReadOnlySpan<int> own, Span<float> features, Span<float> targets, Span<float> weights)
        {
            if (numbers.Length < own.Length)
                numbers = new int[own.Length];
            for (int i = 0; i < own.Length; i++)
                numbers[i] = first + own[i] * step;
            rows.Read(numbers.AsSpan(0, own.Length), features, targets, weights);
        }
    }

    sealed class MappedTargets(ITrainingRows rows, Func<float, float> target) : ITrainingRows
    {
        public int Rows => rows.Rows;

        public int FeaturesPerRow => rows.FeaturesPerRow;

        public int TargetsPerRow => rows.TargetsPerRow;

        public bool HasWeights => rows.HasWeights;

        public void Read(ReadOnlySpan<int> numbers, Span<float> features, Span<float> targets, Span<float> weights)
        {
            rows.Read(numbers, features, targets, weights);
            foreach (ref float value in targets)
                value = target(value);
        }
    }
}

/// <summary>
/// A source of rows to train on, which a run reads by their numbers as often as it needs them: a file, a database, or
/// several arrays. <see cref="TrainingData(ITrainingRows)"/> makes data of it.
/// </summary>
/// <remarks>
/// A row must have the same values each time. A run first reads all rows once in ascending order, to check them and to
/// recognize them when it is resumed. Each epoch then takes 64 MB of rows at a time, made of blocks of 256 KB of
/// neighbouring rows (or of one row, if a row is larger), and reads these rows in random order. A source that keeps
/// 64 MB of blocks in memory therefore reads each block once per epoch. Evaluations and statistics read in ascending
/// order. Calls come one at a time, but not always on the same thread.
/// </remarks>
public interface ITrainingRows
{
    /// <summary>The number of rows, at least 1.</summary>
    int Rows { get; }

    /// <summary>The number of values in a row's features, at least 1.</summary>
    int FeaturesPerRow { get; }

    /// <summary>The number of values in a row's targets, at least 1.</summary>
    int TargetsPerRow { get; }

    /// <summary>Whether each row has a weight.</summary>
    bool HasWeights { get; }

    /// <summary>Copies rows, one after the other.</summary>
    /// <param name="rows">Their numbers, from 0.</param>
    /// <param name="features">Receives <see cref="FeaturesPerRow"/> values for each of them.</param>
    /// <param name="targets">Receives <see cref="TargetsPerRow"/> values for each of them.</param>
    /// <param name="weights">Receives one value for each of them; empty without <see cref="HasWeights"/>.</param>
    /// <exception cref="IOException">The rows cannot be read.</exception>
    void Read(ReadOnlySpan<int> rows, Span<float> features, Span<float> targets, Span<float> weights);
}
