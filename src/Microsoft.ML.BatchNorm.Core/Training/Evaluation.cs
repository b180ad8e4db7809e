namespace Microsoft.ML.BatchNorm;

/// <summary>What a trained network achieves on rows, in inference mode. An immutable value.</summary>
/// <param name="Loss">
/// The loss without penalties, averaged over the rows by their weights; NaN if all weights are 0.
/// </param>
/// <param name="Metric">The accuracy or the mean absolute error, as <see cref="EpochResult.Metric"/> says.</param>
public sealed record EvaluationResult(double Loss, double Metric);

/// <summary>Measures loss and metric of a session's network on rows, in inference mode.</summary>
sealed class Evaluation(Network network, TrainingOptions options)
{
    const int ChunkElements = 1 << 20;

    readonly int inputs = network.InputShape.Size, outputs = network.OutputShape.Size;
    float[] predictions = [];

    /// <param name="session">The session that predicts.</param>
    /// <param name="rows">The rows to measure on.</param>
    /// <param name="ranks">The ranks that have shares of the rows; null for one. Several exchange two messages.</param>
    /// <param name="check">Called before each part of the rows; it may throw.</param>
    /// <param name="outcome">Receives what is predicted; or null.</param>
    public EvaluationResult Of(
        ITrainingSession session, RowSet rows, ICollective? ranks = null, Action? check = null, Outcome? outcome = null)
    {
        (WeightedMean loss, WeightedMean metric) = ranks.Do(() => Measure(session, rows, check, outcome));
        if (ranks is not null)
        {
            (WeightedMean Loss, WeightedMean Metric)[] all = ranks.Gather((loss, metric));
            (loss, metric) = (default, default);
            foreach ((WeightedMean Loss, WeightedMean Metric) one in all)
            {
                loss.Add(one.Loss);
                metric.Add(one.Metric);
            }
        }
        return new EvaluationResult(loss.Value, metric.Value);
    }

    (WeightedMean Loss, WeightedMean Metric) Measure(
        ITrainingSession session, RowSet rows, Action? check, Outcome? outcome)
    {
        TrainingData data = rows.Data;
        IReadOnlyCollection<int> own = rows.Own;
        int chunk = Math.Clamp(ChunkElements / (inputs + outputs), 1, Math.Max(1, own.Count));
        int targets = data.TargetsPerRow;
        if (predictions.Length < chunk * outputs)
            predictions = new float[chunk * outputs];
        var loss = new WeightedMean();
        var metric = new WeightedMean();
        foreach (RowPart part in RowPart.Of(data, own, chunk))
        {
            check?.Invoke();
            session.Predict(part.Features, predictions.AsSpan(0, part.Rows.Length * outputs));
            for (int i = 0; i < part.Rows.Length; i++)
            {
                ReadOnlySpan<float> output = predictions.AsSpan(i * outputs, outputs);
                ReadOnlySpan<float> target = part.Targets.Slice(i * targets, targets);
                double weight = part.Weights.IsEmpty ? 1 : part.Weights[i];
                loss.Add(RowLoss.Of(options.Loss, output, target), weight * options.ClassWeight(target[0]));
                metric.Add(RowLoss.Metric(options.Loss, output, target), weight);
                if (weight > 0)
                    outcome?.Add(output, target);
            }
        }
        return (loss, metric);
    }
}

/// <summary>A mean that takes its values one by one; NaN while all weights are 0.</summary>
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

    public void Add(WeightedMean other)
    {
        sum += other.sum;
        weights += other.weights;
    }
}
