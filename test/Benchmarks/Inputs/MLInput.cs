using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>A data view of one shape over an array, with the estimators that are fitted to it.</summary>
sealed class MLInput
{
    readonly MLContext ml = new(1);

    public MLInput(int rows, int columns)
    {
        float[] values = new float[rows * columns];
        var random = new Random(1);
        for (int i = 0; i < values.Length; i++)
            values[i] = random.NextSingle() * 4 + 3;
        View = new ArrayView(values, columns);
        Computed = ml.Transforms.Concatenate("X", "X").Fit(View).Transform(View);
        Bytes = sizeof(float) * (double)values.Length;
    }

    /// <summary>A column X.</summary>
    public IDataView View { get; }

    /// <summary>The same column behind Concatenate: a view that computes its columns gives a set of cursors.</summary>
    public IDataView Computed { get; }

    public double Bytes { get; }

    /// <summary>ML.NET's own normalizer, of all rows, with the mean taken off.</summary>
    public NormalizingEstimator Reference =>
        ml.Transforms.NormalizeMeanVariance("Y", "X", maximumExampleCount: long.MaxValue, fixZero: false);

    /// <summary>The default, exact statistics of the whole data.</summary>
    public BatchNormalizationEstimator Ours(int threads, bool warnOnDrift = false, bool keepHistograms = false) =>
        ml.Transforms.BatchNormalization(new BatchNormalizationEstimator.Options
        {
            Columns = [new InputOutputColumnPair("Y", "X")],
            NumberOfThreads = threads,
            WarnOnDrift = warnOnDrift,
            KeepHistograms = keepHistograms,
        });

    /// <summary>Inputs beyond the caches, by name.</summary>
    public static IEnumerable<(string Name, Lazy<MLInput> Input)> Large =>
        Named((1_000_000, 64), (100_000, 512), (2_000_000, 16));

    /// <summary>Inputs that caches hold, by name.</summary>
    public static IEnumerable<(string Name, Lazy<MLInput> Input)> Small => Named((1797, 64), (30_000, 64));

    static IEnumerable<(string Name, Lazy<MLInput> Input)> Named(params (int Rows, int Columns)[] shapes) =>
        from shape in shapes
        select ($"{shape.Rows:N0}x{shape.Columns}", new Lazy<MLInput>(() => new MLInput(shape.Rows, shape.Columns)));
}
