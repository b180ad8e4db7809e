using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>Makes scalars that stay alive while an operation of TorchSharp uses them.</summary>
/// <remarks>
/// TorchSharp gives libtorch the address of a <see cref="Scalar"/> and does not keep the object alive. If a garbage
/// collection finalizes it before libtorch reads it, the operation fails, or uses whatever is then in the memory. The
/// same is true of the scalar to which a plain number is converted, and of the factor 1 that <c>add</c> and <c>add_</c>
/// use if none is given. So every operation in this project takes its numbers from this type. Tensors are in the same
/// danger: a temporary tensor must be in a dispose scope, which keeps it alive.
/// </remarks>
static class Scalars
{
    /// <summary>More scalars than any one statement uses.</summary>
    const int Kept = 16;

    [ThreadStatic]
    static Scalar?[]? kept;

    [ThreadStatic]
    static int next;

    /// <summary>One, the factor of a plain sum.</summary>
    public static Scalar One { get; } = 1L.ToScalar();

    /// <summary>A scalar that stays alive until this thread has made 16 more.</summary>
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
