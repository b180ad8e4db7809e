using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>A data view of one shape, and what is compared on it.</summary>
sealed class Shape
{
    readonly MLContext ml = new(1);
    readonly string name;
    readonly IDataView input;
    readonly double bytes;
    readonly BatchNormalizationTransformer transformer;

    public Shape(string name, int rows, int columns)
    {
        this.name = name;
        float[] values = new float[rows * columns];
        var random = new Random(1);
        for (int i = 0; i < values.Length; i++)
            values[i] = random.NextSingle() * 4 + 3;
        input = new ArrayView(values, columns);
        bytes = sizeof(float) * (double)values.Length;
        BatchNormalizationOptions options = BatchNormalizationOptions.Keras;
        BatchNormalizationState state = BatchNormalization.UpdateMovingStatistics(
            options, BatchNormalization.Initialize(options, columns), ChannelLayout.Features(rows, columns), values);
        transformer = new(ml, new BatchNormalizationColumn("Y", "X", options, state));
    }

    public void Transform()
    {
        IDataView ours = transformer.Transform(input);
        IDataView reference = ml.Transforms.NormalizeMeanVariance("Y", "X", fixZero: false).Fit(input).Transform(input);
        Comparison.Print($"transform {name}", bytes, () => Pass.Over(ours, "Y"), () => Pass.Over(reference, "Y"));
        Comparison.Print(
            $"transform {name}, reference on the caller's thread", bytes,
            () => Pass.OnOneThread(ours, "Y"), () => Pass.OnOneThread(reference, "Y"));
        Comparison.Print(
            $"transform {name}, reference bare cursor", bytes,
            () => Pass.Over(ours, "Y"), () => Pass.Over(input, "X"));
    }
}
