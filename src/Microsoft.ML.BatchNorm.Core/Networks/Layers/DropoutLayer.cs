namespace Microsoft.ML.BatchNorm;

/// <summary>
/// In training, sets each value to 0 with probability <paramref name="Rate"/> and divides the others by 1 − rate; else
/// leaves them (Srivastava and others, 2014).
/// </summary>
/// <param name="Rate">The share that is dropped, at least 0 and below 1.</param>
public sealed record DropoutLayer(double Rate) : Layer
{
    /// <summary>The share that is dropped.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not from 0 to below 1.</exception>
    public double Rate { get; init => field = Checked(value); } = Checked(Rate);

    /// <inheritdoc/>
    public override string Kind => "Dropout";

    internal override string DefaultName => "dropout";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input) => Check.NotNull(input);

    static double Checked(double value) =>
        value is >= 0 and < 1 ? value : throw Check.OutOfRange(value, nameof(Rate), "at least 0 and below 1");
}
