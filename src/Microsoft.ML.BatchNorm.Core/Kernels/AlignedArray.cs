using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>Arrays into which rows are copied one by one, each to be read right after the copy.</summary>
/// <remarks>
/// A copy of 256 bytes or more stores whole cache lines of its target. If the array does not begin on a line, a vector
/// that is read right after the copy comes from two stores and waits for both: normalizing 64 floats then takes some
/// 2 ns more.
/// </remarks>
static unsafe class AlignedArray
{
    const int LineBytes = 64, LeastBytes = 256, MostBytes = 4096, ObjectBytes = 24, Tries = 4;

    /// <summary>
    /// Whether rows of a length are long enough to be copied by lines, and short enough that the waits matter.
    /// </summary>
    public static bool IsOfUse<T>(int length) where T : unmanaged =>
        length * (long)sizeof(T) is >= LeastBytes and <= MostBytes;

    /// <summary>
    /// An array, not zeroed, that begins on a cache line and never moves. If a few tries find no such place, which is
    /// rare, it begins elsewhere, which only costs time.
    /// </summary>
    public static T[] Allocate<T>(int length) where T : unmanaged
    {
        T[] array = Pinned<T>(length);
        for (int i = 0; i < Tries && Address(array) % LineBytes != 0; i++)
        {
            // Pinned objects lie one after the other, so a filler can make the next array begin on a line.
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
