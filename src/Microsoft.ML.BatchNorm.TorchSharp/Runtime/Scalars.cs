using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>Scalars for TorchSharp's operations that stay alive during the call.</summary>
/// <remarks>
/// TorchSharp gives libtorch the address of a <see cref="Scalar"/> and does not keep the object alive. If a garbage
/// collection finalizes it before libtorch reads it, the operation fails, or takes whatever the memory then holds. The
/// same happens to the scalar that a plain number is converted to, and to the 1 that <c>add</c> and <c>add_</c>
/// multiply by if no factor is given. So every operation in this project takes its numbers from this type. Tensors have
/// the same danger: a temporary tensor must be in a dispose scope, which keeps it alive.
/// </remarks>
static class Scalars
{
    /// <summary>More than one statement takes.</summary>
    const int Kept = 16;

    [ThreadStatic]
    static Scalar?[]? kept;

    [ThreadStatic]
    static int next;

    /// <summary>One, the factor of a plain sum.</summary>
    public static Scalar One { get; } = 1L.ToScalar();

    /// <summary>A scalar that lives until this thread has taken 16 more.</summary>
    public static Scalar Of(double value) => Keep(value.ToScalar());

    /// <inheritdoc cref="Of(double)"/>
    public static Scalar Of(long value) => Keep(value.ToScalar());

    static Scalar Keep(Scalar scalar)
    {
        Scalar?[] ring = kept ??= new Scalar?[Kept];
        ring[next]?.Dispose();
        ring[next] = scalar;
        next = (next + 1) % Kept;
        return scalar;
    }
}
