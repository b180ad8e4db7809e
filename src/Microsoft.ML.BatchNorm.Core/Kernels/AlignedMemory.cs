namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Zeros at an aligned address that stays. They are freed with this object, which must be reachable as long as the
/// address is used.
/// </summary>
sealed unsafe class AlignedMemory<T> where T : unmanaged
{
    /// <exception cref="OverflowException">There are more values than an array can have.</exception>
    public AlignedMemory(long length)
    {
        Array = GC.AllocateArray<T>(checked((int)length + Simd.Alignment / sizeof(T)), pinned: true);
        fixed (T* address = Array)
        {
            Start = (T*)Simd.Align(address);
            Offset = (int)(Start - address);
        }
        Length = (int)length;
    }

    public T* Start { get; }

    public int Length { get; }

    public Span<T> Span => new(Start, Length);

    /// <summary>The array around the values, for references that keep it reachable themselves.</summary>
    public T[] Array { get; }

    /// <summary>Where in <see cref="Array"/> the values start.</summary>
    public int Offset { get; }
}
