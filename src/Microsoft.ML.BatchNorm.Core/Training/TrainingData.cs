namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Rows to train on or to validate with: features, targets, and weights if there are any. It refers to the memory that
/// it is given, which must not change while it is used.
/// </summary>
public sealed class TrainingData
{
    /// <summary>Data of the given rows.</summary>
    /// <param name="rows">The number of rows.</param>
    /// <param name="features">Row after row, as many finite values each as a network has inputs.</param>
    /// <param name="targets">
    /// Row after row: the index of the class for <see cref="Loss.SoftmaxCrossEntropy"/>, else one finite value an
    /// output.
    /// </param>
    /// <param name="weights">One weight a row, finite and not negative; or empty for equal ones.</param>
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
        foreach (float weight in weights.Span)
        {
            if (!(weight >= 0 && float.IsFinite(weight)))
                throw new ArgumentException(
                    $"A weight is {weight}; it must be finite and not negative.", nameof(weights));
        }
        Features = features;
        Targets = targets;
        Weights = weights;
    }

    /// <summary>The number of rows.</summary>
    public int Rows { get; }

    /// <summary>The number of values in a row's features.</summary>
    public int FeaturesPerRow { get; }

    /// <summary>The number of values in a row's targets.</summary>
    public int TargetsPerRow { get; }

    /// <summary>The features, row after row.</summary>
    public ReadOnlyMemory<float> Features { get; }

    /// <summary>The targets, row after row.</summary>
    public ReadOnlyMemory<float> Targets { get; }

    /// <summary>One weight a row, or empty.</summary>
    public ReadOnlyMemory<float> Weights { get; }

    /// <summary>
    /// Rows for work that no target goes into, with class 0 as each one's, which <see cref="TrainingOptions"/>'s own
    /// loss takes.
    /// </summary>
    /// <exception cref="ArgumentException">The features are no rows of the network's inputs.</exception>
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
    /// The numbers of features or targets differ, or a class index is none; the message names the row.
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
        if (loss is SoftmaxCrossEntropyLoss)
            CheckClasses(outputs);
    }

    void CheckClasses(int classes)
    {
        ReadOnlySpan<float> targets = Targets.Span;
        for (int row = 0; row < targets.Length; row++)
        {
            float target = targets[row];
            if (!(target >= 0 && target < classes && target == MathF.Floor(target)))
                throw new ArgumentException($"Row {row} has the class {target}; there are classes 0 to {classes - 1}.");
        }
    }

    static int PerRow(ReadOnlyMemory<float> values, int rows, string name) =>
        values.Length > 0 && values.Length % rows == 0
            ? values.Length / rows
            : throw new ArgumentException(
                $"The argument {name} has {values.Length} values, not a multiple of {rows} rows.", name);
}
