using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// One step of an optimizer over a slice of all parameters, in whole vectors. Gradients are first multiplied by
/// <c>clip</c>.
/// </summary>
static unsafe class OptimizerKernels
{
    /// <summary><c>p ← p − rate·(clip·g + decay·p)</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Sgd(float* p, float* g, int length, float clip, float rate, float decay)
    {
        for (int i = 0; i < length; i += Simd.Floats)
        {
            Vector512<float> value = Vector512.Load(p + i);
            Vector512<float> gradient = Decayed(value, Vector512.Load(g + i), clip, decay);
            Simd.MultiplyAdd(gradient, Vector512.Create(-rate), value).Store(p + i);
        }
    }

    /// <summary>
    /// <c>v ← momentum·v + g; p ← p − rate·v</c>, or with Nesterov's momentum <c>p − rate·(g + momentum·v)</c>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Momentum(
        float* p, float* g, float* v, int length, float clip, float rate, float decay, float momentum, bool nesterov)
    {
        for (int i = 0; i < length; i += Simd.Floats)
        {
            Vector512<float> value = Vector512.Load(p + i);
            Vector512<float> gradient = Decayed(value, Vector512.Load(g + i), clip, decay);
            Vector512<float> velocity =
                Simd.MultiplyAdd(Vector512.Load(v + i), Vector512.Create(momentum), gradient);
            velocity.Store(v + i);
            Vector512<float> step = nesterov
                ? Simd.MultiplyAdd(velocity, Vector512.Create(momentum), gradient)
                : velocity;
            Simd.MultiplyAdd(step, Vector512.Create(-rate), value).Store(p + i);
        }
    }

    /// <summary>Adam and AdamW.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Adam(float* p, float* g, float* m, float* v, int length, in AdamNumbers numbers)
    {
        Vector512<float> beta1 = Vector512.Create(numbers.Beta1), beta2 = Vector512.Create(numbers.Beta2);
        Vector512<float> less1 = Vector512.Create(numbers.Less1), less2 = Vector512.Create(numbers.Less2);
        Vector512<float> step = Vector512.Create(-numbers.Step), root = Vector512.Create(numbers.Root);
        Vector512<float> epsilon = Vector512.Create(numbers.Epsilon), keep = Vector512.Create(numbers.Keep);
        float clip = numbers.Clip, decay = numbers.Decay;
        for (int i = 0; i < length; i += Simd.Floats)
        {
            Vector512<float> value = Vector512.Load(p + i);
            Vector512<float> gradient = Decayed(value, Vector512.Load(g + i), clip, decay);
            Vector512<float> mean = Simd.MultiplyAdd(beta1, Vector512.Load(m + i), less1 * gradient);
            Vector512<float> square = Simd.MultiplyAdd(beta2, Vector512.Load(v + i), less2 * gradient * gradient);
            mean.Store(m + i);
            square.Store(v + i);
            Vector512<float> divisor = Simd.MultiplyAdd(Vector512.Sqrt(square), root, epsilon);
            Simd.MultiplyAdd(step, mean / divisor, value * keep).Store(p + i);
        }
    }

    /// <summary><c>Σ g²</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double SquaredNorm(float* g, int length)
    {
        Vector512<double> lower = default, upper = default;
        for (int i = 0; i < length; i += Simd.Floats)
        {
            Simd.LoadChunk(g + i, out Vector512<double> x, out Vector512<double> y);
            lower = Simd.MultiplyAdd(x, x, lower);
            upper = Simd.MultiplyAdd(y, y, upper);
        }
        return Simd.Sum(lower + upper);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Decayed(Vector512<float> value, Vector512<float> gradient, float clip, float decay) =>
        Simd.MultiplyAdd(value, Vector512.Create(decay), gradient * Vector512.Create(clip));
}

/// <summary>
/// The constants of one step of Adam: <c>p ← keep·p − step·m/(root·√v + ε)</c> with <c>step = rate/(1 − β₁ᵗ)</c> and
/// <c>root = 1/√(1 − β₂ᵗ)</c>.
/// </summary>
readonly record struct AdamNumbers(
    float Beta1, float Less1, float Beta2, float Less2, float Step, float Root, float Epsilon, float Keep, float Decay,
    float Clip);
