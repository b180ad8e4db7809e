namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Zeros at an address that stays and that is a multiple of 64; freed with this object, which is to be reachable as
/// long as the address is used.
/// </summary>
sealed unsafe class AlignedMemory<T> where T : unmanaged
{
    const int Alignment = 64;

    readonly T[] values;

    /// <exception cref="OverflowException">There are more values than an array can have.</exception>
    public AlignedMemory(long length)
    {
        values = GC.AllocateArray<T>(checked((int)length + Alignment / sizeof(T)), pinned: true);
        fixed (T* address = values)
            Start = (T*)(((nuint)address + Alignment - 1) & ~(nuint)(Alignment - 1));
        Length = (int)length;
    }

    public T* Start { get; }

    public int Length { get; }

    public Span<T> Span => new(Start, Length);
}
