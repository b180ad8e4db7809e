using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>Checks of the memory that an operation reads and writes.</summary>
static class Buffers
{
    /// <summary>An output is as long as the input, and either the same memory or apart from it.</summary>
    public static void CheckOutput<T>(ReadOnlySpan<T> input, ReadOnlySpan<T> output, string name)
    {
        if (output.Length != input.Length)
            throw new ArgumentException(
                $"The argument {name} has {output.Length} values, the input has {input.Length}.", name);
        if (input.Overlaps(output, out int offset) && offset != 0)
            throw new ArgumentException(
                $"The argument {name} overlaps the input; it must be the same memory or apart.", name);
    }

    public static bool AreSame<T>(ReadOnlySpan<T> left, ReadOnlySpan<T> right) =>
        Unsafe.AreSame(ref MemoryMarshal.GetReference(left), ref MemoryMarshal.GetReference(right));
}
