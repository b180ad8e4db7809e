namespace Microsoft.ML.Transforms;

/// <summary>Which passes over a view are checked, and whether it has warned; asked from any thread.</summary>
sealed class DriftWarning
{
    /// <summary>
    /// The rows that go by before another pass is checked: to compare a sample takes less than to normalize a
    /// twentieth of them. A view that is longer is checked in each pass.
    /// </summary>
    const long RowsPerCheck = 1 << 16;

    int given;
    long passesToSkip;

    /// <summary>Whether the pass that begins now is to be checked; the first of a view is.</summary>
    public bool IsDue() => Volatile.Read(ref given) == 0 && Interlocked.Decrement(ref passesToSkip) < 0;

    /// <summary>A pass has been checked.</summary>
    /// <param name="rows">Some number of rows that it had, above 0.</param>
    public void Checked(long rows) => Volatile.Write(ref passesToSkip, RowsPerCheck / rows);

    /// <summary>True to the first who asks.</summary>
    public bool IsFirst() => Interlocked.Exchange(ref given, 1) == 0;
}
