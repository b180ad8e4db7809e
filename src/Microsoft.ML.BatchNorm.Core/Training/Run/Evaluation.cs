namespace Microsoft.ML.BatchNorm.Training;

/// <summary>Loss and metric of a session's network on rows, in inference mode.</summary>
sealed class Evaluation(Network network, TrainingOptions options)
{
    const int ChunkElements = 1 << 20;

    readonly int inputs = network.InputShape.Size, outputs = network.OutputShape.Size;
    float[] features = [], predictions = [];

    public EvaluationResult Of(ITrainingSession session, RowSet rows)
    {
        TrainingData data = rows.Data;
        int chunk = Math.Clamp(ChunkElements / (inputs + outputs), 1, rows.Count);
        var loss = new WeightedMean();
        var metric = new WeightedMean();
        for (int first = 0; first < rows.Count; first += chunk)
        {
            int count = Math.Min(chunk, rows.Count - first);
            Grow(ref predictions, count * outputs);
            session.Predict(Features(rows, first, count), predictions.AsSpan(0, count * outputs));
            for (int i = 0; i < count; i++)
            {
                int row = rows[first + i];
                ReadOnlySpan<float> output = predictions.AsSpan(i * outputs, outputs);
                ReadOnlySpan<float> target = data.Targets.Span.Slice(row * data.TargetsPerRow, data.TargetsPerRow);
                double weight = data.Weights.IsEmpty ? 1 : data.Weights.Span[row];
                loss.Add(RowLoss.Of(options.Loss, output, target), weight * ClassWeight(target[0]));
                metric.Add(RowLoss.Metric(options.Loss, output, target), weight);
            }
        }
        return new EvaluationResult(loss.Value, metric.Value);
    }

    double ClassWeight(float target) => options switch
    {
        { ClassWeights.IsEmpty: true } => 1,
        { Loss: SoftmaxCrossEntropyLoss } => options.ClassWeights[(int)target],
        _ => options.ClassWeights[target >= 0.5f ? 1 : 0],
    };

    ReadOnlySpan<float> Features(RowSet rows, int first, int count)
    {
        ReadOnlySpan<float> all = rows.Data.Features.Span;
        if (rows.Rows is null)
            return all.Slice(first * inputs, count * inputs);
        Grow(ref features, count * inputs);
        for (int i = 0; i < count; i++)
            all.Slice(rows[first + i] * inputs, inputs).CopyTo(features.AsSpan(i * inputs));
        return features.AsSpan(0, count * inputs);
    }

    static void Grow(ref float[] buffer, int length)
    {
        if (buffer.Length < length)
            buffer = new float[length];
    }

    struct WeightedMean
    {
        double sum, weights;

        public readonly double Value => sum / weights;

        public void Add(double value, double weight)
        {
            if (weight == 0)
                return;
            sum += weight * value;
            weights += weight;
        }
    }
}
