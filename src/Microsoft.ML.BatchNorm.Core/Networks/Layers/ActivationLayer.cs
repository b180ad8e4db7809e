using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>A function of one value.</summary>
public enum Activation
{
    /// <summary><c>max(x, 0)</c>.</summary>
    ReLU,

    /// <summary><c>x</c> where it is positive, else <c>slope·x</c>.</summary>
    LeakyReLU,

    /// <summary>
    /// <c>x·Φ(x)</c> with the normal distribution's Φ (Hendrycks and Gimpel, 2016): the exact form, with erf.
    /// </summary>
    Gelu,

    /// <summary><c>1/(1 + e⁻ˣ)</c>.</summary>
    Sigmoid,

    /// <summary><c>tanh x</c>.</summary>
    Tanh,

    /// <summary><c>x/(1 + e⁻ˣ)</c>, also called Swish.</summary>
    SiLU,

    /// <summary><c>x·min(max(x + 3, 0), 6)/6</c>, a SiLU of straight lines and a parabola.</summary>
    HardSwish,

    /// <summary>
    /// <c>min(max(x + 3, 0), 6)/6</c>, a sigmoid of straight lines, as in PyTorch and Keras 3. Keras 2's
    /// <c>hard_sigmoid</c> is another function, <c>min(max(0.2·x + 0.5, 0), 1)</c>.
    /// </summary>
    HardSigmoid,

    /// <summary><c>min(max(x, 0), 6)</c>.</summary>
    ReLU6,
}

/// <summary>Applies a function to each value.</summary>
/// <param name="Function">The function.</param>
public sealed record ActivationLayer(Activation Function) : Layer
{
    /// <summary>The function.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not one of the enumeration.</exception>
    public Activation Function { get; init => field = Check.Defined(value, nameof(Function)); } =
        Check.Defined(Function, nameof(Function));

    /// <summary>
    /// The slope of <see cref="Activation.LeakyReLU"/> below 0. Default: null, not set. A network's preset or a file
    /// fills it in: 0.3 as in Keras, or 0.01 as in PyTorch. Computations with null take 0.3.
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

    /// <summary>
    /// The function that is computed. A LeakyReLU with slope 0 is computed as a ReLU, since 0·−∞ would be NaN.
    /// </summary>
    internal Activation EffectiveFunction =>
        Function == Activation.LeakyReLU && Slope == 0 ? Activation.ReLU : Function;

    internal override string DefaultName => Function switch
    {
        Activation.ReLU => "re_lu",
        Activation.LeakyReLU => "leaky_re_lu",
        Activation.Gelu => "gelu",
        Activation.Sigmoid => "sigmoid",
        Activation.Tanh => "tanh",
        Activation.SiLU => "silu",
        Activation.HardSwish => "hard_swish",
        Activation.HardSigmoid => "hard_sigmoid",
        Activation.ReLU6 => "relu6",
        _ => throw Unknown(),
    };

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input) => Check.NotNull(input);

    internal override Stage CreateStage(StageContext context) => Computation.CreateStage(context);

    internal override ServingValue CreateServing(ServingContext context)
    {
        if (context.Input.Product is null)
            return context.Operations.Add(new ActivationOperation(Computation, context.Node.Output.Size), context.Input);
        context.Operations.Complete(context.Input, Computation);
        return context.Input;
    }

    internal ActivationFunction Computation => EffectiveFunction switch
    {
        Activation.ReLU => ActivationFunction.Fusable(new ReLUFunction()),
        Activation.LeakyReLU when Slope > 0 => ActivationFunction.Fusable(new LeakyReLUFunction(Slope)),
        Activation.LeakyReLU => ActivationFunction.Of(new LeakyReLUFunction(Slope)),
        Activation.Gelu => ActivationFunction.Of(new GeluFunction()),
        Activation.Sigmoid => ActivationFunction.Of(new SigmoidFunction()),
        Activation.Tanh => ActivationFunction.Of(new TanhFunction()),
        Activation.SiLU => ActivationFunction.Of(new SiLUFunction()),
        Activation.HardSwish => ActivationFunction.Of(new HardSwishFunction()),
        Activation.HardSigmoid => ActivationFunction.Of(new HardSigmoidFunction()),
        Activation.ReLU6 => ActivationFunction.Fusable(new ReLU6Function()),
        _ => throw Unknown(),
    };

    NotSupportedException Unknown() => new($"The activation {Function} is not known.");
}

/// <summary>Computes an activation, in training and in a model.</summary>
abstract unsafe class ActivationFunction
{
    /// <summary>
    /// Applies the function to some values; <paramref name="y"/> may be the memory of <paramref name="x"/>. The bits of a
    /// result do not depend on the position of the value.
    /// </summary>
    public abstract void Run(float* x, float* y, nint length);

    public abstract Stage CreateStage(StageContext context);

    /// <summary>
    /// The kernels of a normalization that applies the function in the same passes, or null if the function needs
    /// passes of its own.
    /// </summary>
    public virtual ChannelKernels? FusedKernels(ChannelLayout row, int columns, bool ignoresNonFinite) => null;

    public static ActivationFunction Of<TFunction>(TFunction function) where TFunction : struct, IActivationFunction =>
        new Typed<TFunction>(function);

    /// <summary>A function that a normalization can apply.</summary>
    public static ActivationFunction Fusable<TFunction>(TFunction function)
        where TFunction : struct, IActivationFunction, IFusedActivation => new TypedFusable<TFunction>(function);

    class Typed<TFunction>(TFunction function) : ActivationFunction
        where TFunction : struct, IActivationFunction
    {
        protected TFunction Function => function;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public sealed override void Run(float* x, float* y, nint length)
        {
            TFunction f = function;
            nint i = 0;
            for (; i <= length - 4 * Simd.Floats; i += 4 * Simd.Floats)
            {
                f.Forward(Vector512.Load(x + i)).Store(y + i);
                f.Forward(Vector512.Load(x + i + Simd.Floats)).Store(y + i + Simd.Floats);
                f.Forward(Vector512.Load(x + i + 2 * Simd.Floats)).Store(y + i + 2 * Simd.Floats);
                f.Forward(Vector512.Load(x + i + 3 * Simd.Floats)).Store(y + i + 3 * Simd.Floats);
            }
            for (; i < length; i += Simd.Floats)
            {
                int count = (int)nint.Min(Simd.Floats, length - i);
                Simd.StorePart(f.Forward(Simd.LoadPart(x + i, count)), y + i, count);
            }
        }

        public sealed override Stage CreateStage(StageContext context) =>
            new ActivationStage<TFunction>(context, function);
    }

    sealed class TypedFusable<TFunction>(TFunction function) : Typed<TFunction>(function)
        where TFunction : struct, IActivationFunction, IFusedActivation
    {
        public override ChannelKernels FusedKernels(ChannelLayout row, int columns, bool ignoresNonFinite) =>
            ChannelKernels.Of(Function, row, columns, ignoresNonFinite);
    }
}

/// <summary>
/// An <see cref="ActivationLayer"/> in a training session, unless the stage before it includes it.
/// </summary>
sealed unsafe class ActivationStage<TFunction>(StageContext context, TFunction function)
    : Stage(context, new RowBuffer(context.Input.Width))
    where TFunction : struct, IActivationFunction
{
    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Apply)];

    public override IEnumerable<Pass> Backward() => [Pass.OnRows(GoBack)];

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Apply(RowBlock block)
    {
        int columns = Input.Columns;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* x = Input.Row(row), y = Output.Row(row);
            for (int i = 0; i < columns; i += Simd.Floats)
                function.Forward(Vector512.Load(x + i)).Store(y + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void GoBack(RowBlock block)
    {
        int columns = Input.Columns;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* x = Input.Row(row), y = Output.Row(row), dy = OutputGradient!.Row(row);
            for (int i = 0; i < columns; i += Simd.Floats)
                function.Backward(Vector512.Load(x + i), Vector512.Load(y + i), Vector512.Load(dy + i)).Store(dy + i);
        }
    }
}

/// <summary>
/// An <see cref="ActivationLayer"/> in a model. After a product, the product's operation applies the activation instead.
/// </summary>
sealed unsafe class ActivationOperation(ActivationFunction function, int size) : ServingOperation(size, size)
{
    public override bool IsElementwise => true;

    public override void Run(float* x, float* y, int rows, float* work) => function.Run(x, y, (nint)rows * Outputs);
}

/// <summary>A function of each value of a vector. NaN gives NaN.</summary>
interface IActivationFunction
{
    Vector512<float> Forward(Vector512<float> x);

    /// <summary>Computes the gradient by x from that by y = f(x).</summary>
    Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy);
}

/// <summary>f(x) = f′(x)·x, so that one function computes both. At 0, f′ is the slope for negative values.</summary>
readonly struct ReLUFunction : IActivationFunction, IFusedActivation
{
    public static bool IsUsed => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) => Backward(x, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) => Backward(x, dy);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> y, Vector512<float> dy) =>
        Vector512.ConditionalSelect(Vector512.LessThanOrEqual(y, Vector512<float>.Zero), Vector512<float>.Zero, dy);
}

/// <summary>f(x) = f′(x)·x, so that one function computes both. At 0, f′ is the slope for negative values.</summary>
/// <param name="slope">
/// Not 0, since 0·−∞ is NaN. If the function is fused, positive, so that the output has the sign of the input.
/// </param>
readonly struct LeakyReLUFunction(float slope) : IActivationFunction, IFusedActivation
{
    public static bool IsUsed => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) => Backward(x, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) => Backward(x, dy);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> y, Vector512<float> dy) =>
        Vector512.ConditionalSelect(
            Vector512.LessThanOrEqual(y, Vector512<float>.Zero), dy * Vector512.Create(slope), dy);
}

readonly struct SigmoidFunction : IActivationFunction
{
    public Vector512<float> Forward(Vector512<float> x) =>
        Vector512<float>.One / (Vector512<float>.One + Vector512.Exp(-x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) =>
        dy * (y * (Vector512<float>.One - y));
}

/// <summary>
/// Computed in double: there (1 − e^−2|x|) keeps enough digits for a float until x is so small that tanh x is x.
/// </summary>
readonly struct TanhFunction : IActivationFunction
{
    const double Linear = 1e-5;

    public Vector512<float> Forward(Vector512<float> x) =>
        Vector512.Narrow(Tanh(Vector512.WidenLower(x)), Tanh(Vector512.WidenUpper(x)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) =>
        dy * ((Vector512<float>.One - y) * (Vector512<float>.One + y));

    static Vector512<double> Tanh(Vector512<double> x)
    {
        Vector512<double> e = Vector512.Exp(Vector512.Abs(x) * -2.0);
        Vector512<double> size = (Vector512<double>.One - e) / (Vector512<double>.One + e);
        return Vector512.ConditionalSelect(
            Vector512.LessThan(Vector512.Abs(x), Vector512.Create(Linear)), x, Vector512.CopySign(size, x));
    }
}

readonly struct GeluFunction : IActivationFunction
{
    public Vector512<float> Forward(Vector512<float> x) =>
        Vector512.Narrow(Gelu(Vector512.WidenLower(x)), Gelu(Vector512.WidenUpper(x)));

    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) =>
        dy * Vector512.Narrow(Slope(Vector512.WidenLower(x)), Slope(Vector512.WidenUpper(x)));

    /// <summary>Far below 0 the result is set to 0, since −∞ would give −∞·0.</summary>
    static Vector512<double> Gelu(Vector512<double> x) =>
        Vector512.ConditionalSelect(
            Vector512.LessThan(x, Vector512.Create(-40.0)), Vector512<double>.Zero,
            x * NormalDistribution.Cumulative(x));

    /// <summary>The density is 0 beyond ±40, and ±∞·0 would be NaN.</summary>
    static Vector512<double> Slope(Vector512<double> x) =>
        NormalDistribution.Cumulative(x)
            + Vector512.ClampNative(x, Vector512.Create(-40.0), Vector512.Create(40.0)) * NormalDistribution.Density(x);
}

readonly struct SiLUFunction : IActivationFunction
{
    /// <summary>Far below 0 the result is set to 0, since −∞ would give −∞·0.</summary>
    public Vector512<float> Forward(Vector512<float> x) =>
        Vector512.ConditionalSelect(
            Vector512.LessThan(x, Vector512.Create(-110f)), Vector512<float>.Zero, x * Sigmoid(x));

    /// <summary><c>σ·(1 + x·(1 − σ))</c>, with a finite x, since ±∞ would give ±∞·0.</summary>
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy)
    {
        Vector512<float> sigmoid = Sigmoid(x);
        x = Vector512.ClampNative(x, Vector512.Create(float.MinValue), Vector512.Create(float.MaxValue));
        return dy * (sigmoid * (Vector512<float>.One + x * (Vector512<float>.One - sigmoid)));
    }

    /// <summary>
    /// From e^−|x|, because 1/(1 + e⁻ˣ) is 0 below −88.7, where x·σ(x) is still a normal float at first.
    /// </summary>
    static Vector512<float> Sigmoid(Vector512<float> x)
    {
        Vector512<float> e = Vector512.Exp(-Vector512.Abs(x));
        return Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512<float>.Zero), e, Vector512<float>.One)
            / (Vector512<float>.One + e);
    }
}

/// <summary>The slope at −3 is 0, and at 3 it is 1, as in libtorch 2.10.</summary>
readonly struct HardSwishFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) =>
        Vector512.ConditionalSelect(
            Vector512.LessThanOrEqual(x, Vector512.Create(-3f)), Vector512<float>.Zero,
            x * HardSigmoidFunction.Of(x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy)
    {
        Vector512<float> rising = Vector512.ConditionalSelect(
            Vector512.GreaterThanOrEqual(x, Vector512.Create(3f)), dy,
            dy * (x / Vector512.Create(3f) + Vector512.Create(0.5f)));
        return Vector512.ConditionalSelect(
            Vector512.LessThanOrEqual(x, Vector512.Create(-3f)), Vector512<float>.Zero, rising);
    }
}

/// <summary>The slope at ±3 is 0.</summary>
readonly struct HardSigmoidFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) => Of(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) =>
        Vector512.ConditionalSelect(
            Vector512.GreaterThanOrEqual(Vector512.Abs(x), Vector512.Create(3f)), Vector512<float>.Zero,
            dy / Vector512.Create(6f));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(Vector512<float> x) =>
        Vector512.Min(Vector512.Max(x + Vector512.Create(3f), Vector512<float>.Zero), Vector512.Create(6f))
            / Vector512.Create(6f);
}

/// <summary>The slope at 0 and 6 is 0.</summary>
readonly struct ReLU6Function : IActivationFunction, IFusedActivation
{
    public static bool IsUsed => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) =>
        Vector512.Min(Vector512.Max(x, Vector512<float>.Zero), Vector512.Create(6f));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) => Backward(x, dy);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> y, Vector512<float> dy) =>
        Vector512.ConditionalSelect(
            Vector512.LessThanOrEqual(y, Vector512<float>.Zero)
                | Vector512.GreaterThanOrEqual(y, Vector512.Create(6f)),
            Vector512<float>.Zero, dy);
}
