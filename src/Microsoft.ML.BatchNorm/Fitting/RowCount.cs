namespace Microsoft.ML.Transforms;

/// <summary>A number of rows that any thread may ask for.</summary>
sealed class RowCount
{
    long value;

    public long Value => Volatile.Read(ref value);

    /// <summary>Counts one, where a single thread counts.</summary>
    public void Increment() => Volatile.Write(ref value, value + 1);

    /// <summary>Counts some, on any thread.</summary>
    public void Add(int rows) => Interlocked.Add(ref value, rows);
}
