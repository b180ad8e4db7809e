using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>Arrays for rows that are copied to them and read at once, again and again.</summary>
/// <remarks>
/// A copy of 256 bytes or more goes by the cache lines of its target. Where the target begins within a line, a vector
/// is read back across the border of two stores, which waits for both: normalizing 64 floats then takes some 2 ns more.
/// </remarks>
static unsafe class AlignedArray
{
    const int LineBytes = 64, LeastBytes = 256, MostBytes = 4096, ObjectBytes = 24, Tries = 4;

    /// <summary>
    /// Whether rows of a length are long enough to be copied so, and short enough for the waits to count.
    /// </summary>
    public static bool IsOfUse<T>(int length) where T : unmanaged =>
        length * (long)sizeof(T) is >= LeastBytes and <= MostBytes;

    /// <summary>
    /// An array, not zeroed, that begins on a cache line and is not moved. Nothing but time depends on where it is: in
    /// the rare case that a few tries find no such place, it begins elsewhere.
    /// </summary>
    public static T[] Allocate<T>(int length) where T : unmanaged
    {
        T[] array = Pinned<T>(length);
        for (int i = 0; i < Tries && Address(array) % LineBytes != 0; i++)
        {
            // Pinned objects lie behind one another: a filler, and the array after it begins on a line.
            nuint next = Address(array) + (nuint)length * (nuint)sizeof(T) + 2 * ObjectBytes;
            Pinned<byte>((int)((LineBytes - next % LineBytes) % LineBytes));
            array = Pinned<T>(length);
        }
        return array;
    }

    static T[] Pinned<T>(int length) => GC.AllocateUninitializedArray<T>(length, pinned: true);

    static nuint Address<T>(T[] array) where T : unmanaged =>
        (nuint)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(array));
}
