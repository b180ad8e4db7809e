using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

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
