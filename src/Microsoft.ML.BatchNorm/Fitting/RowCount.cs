namespace Microsoft.ML.Transforms;

/// <summary>A number of rows that one thread counts and any thread may ask for.</summary>
sealed class RowCount
{
    long value;

    public long Value => Volatile.Read(ref value);

    public void Increment() => Volatile.Write(ref value, value + 1);
}
