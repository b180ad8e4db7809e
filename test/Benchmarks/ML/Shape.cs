using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>A data view of one shape, and the comparisons on it with ML.NET's NormalizeMeanVariance.</summary>
sealed class Shape
{
    readonly MLContext ml = new(1);
    readonly string name;
    readonly IDataView input;
    readonly double bytes;

    public Shape(string name, int rows, int columns)
    {
        this.name = name;
        float[] values = new float[rows * columns];
        var random = new Random(1);
        for (int i = 0; i < values.Length; i++)
            values[i] = random.NextSingle() * 4 + 3;
        input = new ArrayView(values, columns);
        bytes = sizeof(float) * (double)values.Length;
    }

    NormalizingEstimator Reference =>
        ml.Transforms.NormalizeMeanVariance("Y", "X", maximumExampleCount: long.MaxValue, fixZero: false);

    /// <summary>
    /// Fitting with the default, exact statistics of the whole data, on one thread; then on two of a set of cursors,
    /// such as views that compute their columns give, and this one does not.
    /// </summary>
    public void Fit()
    {
        Comparison.Print($"fit {name}", bytes, () => Ours(threads: 1).Fit(input), () => Reference.Fit(input));
        IDataView computed = ml.Transforms.Concatenate("X", "X").Fit(input).Transform(input);
        Comparison.Print(
            $"fit {name} behind Concatenate", bytes,
            () => Ours(threads: 2).Fit(computed), () => Reference.Fit(computed));
        Comparison.Print(
            $"fit {name} behind Concatenate on two threads, reference on one", bytes,
            () => Ours(threads: 2).Fit(computed), () => Ours(threads: 1).Fit(computed));
    }

    /// <summary>
    /// The normalized column of every row. By default ML.NET hands the rows of such a view to threads of its own and
    /// back; on the caller's thread, it does not.
    /// </summary>
    public void Transform()
    {
        IDataView ours = Ours(threads: 1).Fit(input).Transform(input);
        IDataView reference = Reference.Fit(input).Transform(input);
        Comparison.Print($"transform {name}", bytes, () => Pass.Over(ours, "Y"), () => Pass.Over(reference, "Y"));
        Comparison.Print(
            $"transform {name}, both on the caller's thread", bytes,
            () => Pass.OnOneThread(ours, "Y"), () => Pass.OnOneThread(reference, "Y"));
        Comparison.Print(
            $"transform {name}, reference the bare cursor", bytes,
            () => Pass.Over(ours, "Y"), () => Pass.Over(input, "X"));
    }

    /// <summary>
    /// The first pass over a view with WarnOnDrift, which is always checked, against one without, and the time of a
    /// comparison with all rows, against a fit.
    /// </summary>
    public void Drift()
    {
        BatchNormalizationTransformer plain = Ours(threads: 1).Fit(input);
        BatchNormalizationTransformer checking = Ours(threads: 1, warnOnDrift: true).Fit(input);
        Comparison.PrintTimes(
            $"drift {name}, WarnOnDrift, reference without", count: 1,
            () => Pass.Over(checking.Transform(input), "Y"), () => Pass.Over(plain.Transform(input), "Y"));
        Comparison.Print(
            $"drift {name}, CompareStatistics, reference fit", bytes,
            () => plain.CompareStatistics(input), () => Ours(threads: 1).Fit(input));
    }

    BatchNormalizationEstimator Ours(int? threads, bool warnOnDrift = false) => ml.Transforms.BatchNormalization(
        new BatchNormalizationEstimator.Options
        {
            Columns = [new InputOutputColumnPair("Y", "X")],
            NumberOfThreads = threads,
            WarnOnDrift = warnOnDrift,
        });
}
