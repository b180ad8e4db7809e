namespace Microsoft.ML.BatchNorm;

/// <summary>What happens to an input that is NaN or infinite.</summary>
public enum NonFinite
{
    /// <summary>
    /// An <see cref="InvalidDataException"/> that names channel, row and value; no state changes. The default.
    /// </summary>
    Throw,

    /// <summary>The position does not count in any statistic, and passes through unchanged.</summary>
    Ignore,
}
