namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>A tensor that a layer has in a file.</summary>
/// <param name="Name">The name there.</param>
/// <param name="Shape">The shape there.</param>
/// <param name="IsCount">Whether it counts batches: a whole number, and it may be missing.</param>
sealed record ExpectedTensor(string Name, SafetensorsShape Shape, bool IsCount = false)
{
    /// <summary>What is wrong with the file's tensor, in words, or null.</summary>
    public string? Fault(in SafetensorsEntry entry)
    {
        string name = SafetensorsEntry.Quote(Name);
        if (IsCount)
        {
            if (!entry.IsNumber)
                return $"{name} has dtype {SafetensorsEntry.Quote(entry.Dtype)}, which is no number";
            return entry.Shape == Shape || entry.Shape == SafetensorsShape.Of(1)
                ? null
                : $"{name} has shape {entry.Shape} instead of {Shape}";
        }
        if (entry.Shape != Shape)
            return $"{name} has shape {entry.Shape} instead of {Shape}";
        return entry.IsFloat
            ? null
            : $"{name} has dtype {SafetensorsEntry.Quote(entry.Dtype)} instead of F64, F32, F16 or BF16";
    }
}
