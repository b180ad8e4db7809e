namespace Microsoft.ML.Transforms;

/// <summary>Whether a view has warned already; asked from any thread.</summary>
sealed class DriftWarning
{
    int given;

    /// <summary>True to the first who asks.</summary>
    public bool IsFirst() => Interlocked.Exchange(ref given, 1) == 0;
}
