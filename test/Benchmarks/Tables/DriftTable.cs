using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>What it costs to watch for drift.</summary>
static class DriftTable
{
    public static Table Make() => new(
        "drift",
        "The first pass over a view with WarnOnDrift, which is always checked, beside a pass without; and the\n"
        + "comparison of all rows with the statistics, without and with histograms, beside a fit.",
        Unit.GigabytesPerSecond, ["without", "a fit"], Comparisons());

    static IEnumerable<Comparison> Comparisons()
    {
        foreach ((string name, Lazy<MLInput> input) in MLInput.Large.Concat(MLInput.Small))
        {
            yield return new Comparison($"{name} WarnOnDrift", () =>
            {
                MLInput rows = input.Value;
                BatchNormalizationTransformer plain = rows.Ours(1).Fit(rows.View);
                BatchNormalizationTransformer checking = rows.Ours(1, warnOnDrift: true).Fit(rows.View);
                return new Contest(rows.Bytes, () => ViewReading.Over(checking.Transform(rows.View), "Y"))
                    .Against(() => ViewReading.Over(plain.Transform(rows.View), "Y")).Against(null);
            });
            yield return new Comparison($"{name} CompareStatistics", () =>
            {
                MLInput rows = input.Value;
                BatchNormalizationTransformer layer = rows.Ours(1).Fit(rows.View);
                return new Contest(rows.Bytes, () => layer.CompareStatistics(rows.View))
                    .Against(null).Against(() => rows.Ours(1).Fit(rows.View));
            });
            yield return new Comparison($"{name} CompareStatistics, KeepHistograms", () =>
            {
                MLInput rows = input.Value;
                BatchNormalizationTransformer plain = rows.Ours(1).Fit(rows.View);
                BatchNormalizationTransformer keeping = rows.Ours(1, keepHistograms: true).Fit(rows.View);
                return new Contest(rows.Bytes, () => keeping.CompareStatistics(rows.View))
                    .Against(() => plain.CompareStatistics(rows.View)).Against(() => rows.Ours(1).Fit(rows.View));
            });
        }
    }
}
