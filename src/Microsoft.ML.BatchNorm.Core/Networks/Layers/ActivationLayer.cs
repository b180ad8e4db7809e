namespace Microsoft.ML.BatchNorm;

/// <summary>A function of each value.</summary>
/// <param name="Function">Which.</param>
public sealed record ActivationLayer(Activation Function) : Layer
{
    /// <summary>Which function.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not one of the enumeration.</exception>
    public Activation Function { get; init => field = Check.Defined(value, nameof(Function)); } =
        Check.Defined(Function, nameof(Function));

    /// <summary>
    /// The slope of <see cref="Activation.LeakyReLU"/> below 0. Default: null, unsaid: a network's preset or a file's
    /// names fill it in, 0.3 as in Keras or 0.01 as in PyTorch; what computes with null takes 0.3.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not finite.</exception>
    public double? NegativeSlope
    {
        get;
        init => field = value is { } slope ? Check.Finite(slope, nameof(NegativeSlope)) : value;
    }

    /// <inheritdoc/>
    public override string Kind => Function.ToString();

    internal double EffectiveSlope => NegativeSlope ?? SlopeOf(NetworkPreset.Keras);

    internal float Slope => (float)EffectiveSlope;

    internal static double SlopeOf(NetworkPreset preset) => preset == NetworkPreset.PyTorch ? 0.01 : 0.3;

    /// <summary>A LeakyReLU without slope is a ReLU, also where its input is infinite.</summary>
    internal Activation EffectiveFunction =>
        Function == Activation.LeakyReLU && Slope == 0 ? Activation.ReLU : Function;

    internal override string DefaultName => Function switch
    {
        Activation.ReLU => "re_lu",
        Activation.LeakyReLU => "leaky_re_lu",
        Activation.Gelu => "gelu",
        Activation.Sigmoid => "sigmoid",
        _ => "tanh",
    };

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input) => Check.NotNull(input);
}
