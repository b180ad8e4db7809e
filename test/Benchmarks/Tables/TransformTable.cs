namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Passes over the transformed rows in an ML.NET pipeline, beside its own normalizer.</summary>
static class TransformTable
{
    public static Table Make() => new(
        "transform",
        "A pass over the normalized column; the bare cursor passes over the input. ML.NET hands the rows of such a\n"
        + "view to threads of its own and back, unless a set of one cursor is asked for: on the caller's thread.",
        Unit.GigabytesPerSecond, ["NormalizeMeanVariance", "bare cursor"], Comparisons());

    static IEnumerable<Comparison> Comparisons()
    {
        foreach ((string name, Lazy<MLInput> input) in MLInput.Large)
        {
            yield return new Comparison(name, () => Contest(input.Value, ViewReading.Over));
            yield return new Comparison(
                $"{name}, on the caller's thread", () => Contest(input.Value, ViewReading.OnOneThread));
        }
    }

    static Contest Contest(MLInput input, Action<IDataView, string> pass)
    {
        IDataView ours = input.Ours(threads: 1).Fit(input.View).Transform(input.View);
        IDataView reference = input.Reference.Fit(input.View).Transform(input.View);
        return new Contest(input.Bytes, () => pass(ours, "Y"))
            .Against(() => pass(reference, "Y")).Against(() => pass(input.View, "X"));
    }
}
