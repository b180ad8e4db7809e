using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>A data view of one shape, and the comparisons on it with ML.NET's NormalizeMeanVariance.</summary>
sealed class Shape
{
    /// <summary>A view of fewer is read several times, for a time that a clock measures.</summary>
    const double LeastBytes = 1 << 24;

    readonly MLContext ml = new(1);
    readonly string name;
    readonly IDataView input;
    readonly double bytes;
    readonly int columns;

    public Shape(string name, int rows, int columns)
    {
        (this.name, this.columns) = (name, columns);
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
    /// Fitting with the default, exact statistics of the whole data. Without a second thread, and then with the one
    /// that an estimator takes by default.
    /// </summary>
    public void Fit()
    {
        Comparison.Print($"fit {name}", bytes, () => Ours(threads: 1).Fit(input), () => Reference.Fit(input));
        Comparison.Print(
            $"fit {name} on two threads", bytes, () => Ours(threads: null).Fit(input), () => Reference.Fit(input));
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
        int passes = Math.Max(1, (int)(LeastBytes / bytes)), rows = (int)(bytes / sizeof(float) / columns);
        Comparison.PrintTimes(
            $"drift {name}, a row with WarnOnDrift, reference without", rows * passes,
            () => Repeat(() => Pass.Over(checking.Transform(input), "Y")),
            () => Repeat(() => Pass.Over(plain.Transform(input), "Y")));
        Comparison.Print(
            $"drift {name}, CompareStatistics, reference fit", bytes,
            () => plain.CompareStatistics(input), () => Ours(threads: 1).Fit(input));

        void Repeat(Action pass)
        {
            for (int i = 0; i < passes; i++)
                pass();
        }
    }

    BatchNormalizationEstimator Ours(int? threads, bool warnOnDrift = false) => ml.Transforms.BatchNormalization(
        new BatchNormalizationEstimator.Options
        {
            Columns = [new InputOutputColumnPair("Y", "X")],
            NumberOfThreads = threads,
            WarnOnDrift = warnOnDrift,
        });
}
