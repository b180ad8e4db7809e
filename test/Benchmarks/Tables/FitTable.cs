namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Fits in an ML.NET pipeline, beside its own normalizer.</summary>
static class FitTable
{
    public static Table Make() => new(
        "fit",
        "Fit of exact statistics to a data view. NormalizeMeanVariance runs on the threads that ML.NET takes. Behind\n"
        + "Concatenate a view gives a set of cursors, which ours reads on all threads.",
        Unit.GigabytesPerSecond, ["NormalizeMeanVariance", "ours on 1 thread"], Comparisons());

    static IEnumerable<Comparison> Comparisons()
    {
        int all = Environment.ProcessorCount;
        foreach ((string name, Lazy<MLInput> input) in MLInput.Large)
        {
            yield return new Comparison($"{name}, 1 thread", () => new Contest(
                input.Value.Bytes, () => input.Value.Ours(1).Fit(input.Value.View))
                .Against(() => input.Value.Reference.Fit(input.Value.View)).Against(null));
            yield return new Comparison($"{name}, KeepHistograms, 1 thread", () => new Contest(
                input.Value.Bytes, () => input.Value.Ours(1, keepHistograms: true).Fit(input.Value.View))
                .Against(null).Against(() => input.Value.Ours(1).Fit(input.Value.View)));
            yield return new Comparison($"{name} behind Concatenate, {Subject.Threads(all)}", () => new Contest(
                input.Value.Bytes, () => input.Value.Ours(all).Fit(input.Value.Computed)) { HasThreads = true }
                .Against(() => input.Value.Reference.Fit(input.Value.Computed))
                .Against(() => input.Value.Ours(1).Fit(input.Value.Computed)));
        }
    }
}
