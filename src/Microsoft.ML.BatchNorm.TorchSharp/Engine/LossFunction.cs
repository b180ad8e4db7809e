namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>Computes the loss of a batch, as a tensor that autograd can differentiate.</summary>
sealed class LossFunction : IDisposable
{
    /// <summary>The divisor if all weights are 0. The loss is 0 then.</summary>
    const double LeastWeight = 1e-37;

    readonly Loss loss;
    readonly Tensor? classWeights;

    /// <exception cref="ArgumentException">
    /// The loss takes no class weights, or their number is not the number of classes.
    /// </exception>
    public LossFunction(TrainingOptions options, int outputs, torch.Device device)
    {
        TrainingOptions.CheckClassWeights(options, outputs);
        loss = options.Loss;
        if (options.ClassWeights.IsEmpty)
            return;
        float[] weights = [.. options.ClassWeights.Select(weight => (float)weight)];
        classWeights = Tensors.Keep(Tensors.Upload<float>(weights, device, weights.Length));
    }

    /// <summary>The mean of the rows' losses, weighted if there are weights.</summary>
    /// <param name="outputs">The network's outputs, one row per row of the batch.</param>
    /// <param name="batch">The targets and weights.</param>
    /// <param name="share">
    /// This rank's rows of the batch: then the result is their part of the mean, a call of all ranks. Null if there is
    /// one rank.
    /// </param>
    public Tensor Of(Tensor outputs, DeviceBatch batch, BatchShare? share = null)
    {
        Tensor losses = RowLosses(outputs, batch.Targets);
        Tensor? weights = RowWeights(batch);
        if (share is not null)
            return PartOf(losses, weights, share);
        return weights is null
            ? losses.mean()
            : losses.mul(weights).sum().div(weights.sum().clamp_min(Scalars.Of(LeastWeight)));
    }

    static Tensor PartOf(Tensor losses, Tensor? weights, BatchShare share)
    {
        double total = share.BatchRows;
        if (weights is not null)
        {
            total = share.Rows.IsEmpty ? 0 : weights.to(ScalarType.Float64).sum().item<double>();
            share.Ranks.Sum(new Span<double>(ref total));
        }
        return share.Rows.IsEmpty
            ? torch.zeros_like(losses.detach().sum())
            : (weights is null ? losses : losses.mul(weights)).sum().div(Scalars.Of(Math.Max(total, LeastWeight)));
    }

    public void Dispose() => classWeights?.Dispose();

    Tensor RowLosses(Tensor outputs, Tensor targets) => loss switch
    {
        SoftmaxCrossEntropyLoss => F.cross_entropy(
            outputs.reshape(outputs.shape[0], -1), Classes(targets), reduction: torch.nn.Reduction.None),
        BinaryCrossEntropyLoss => Mean(F.binary_cross_entropy_with_logits(
            Flat(outputs), targets, reduction: torch.nn.Reduction.None)),
        MeanSquaredErrorLoss => Mean(F.mse_loss(Flat(outputs), targets, torch.nn.Reduction.None)),
        MeanAbsoluteErrorLoss => Mean(F.l1_loss(Flat(outputs), targets, torch.nn.Reduction.None)),
        HuberLoss huber => Mean(F.huber_loss(Flat(outputs), targets, huber.Delta, torch.nn.Reduction.None)),
        _ => throw new NotSupportedException($"{loss.GetType().Name} is not a loss of this engine."),
    };

    Tensor? RowWeights(DeviceBatch batch)
    {
        if (classWeights is null)
            return batch.Weights;
        Tensor classes = loss is SoftmaxCrossEntropyLoss
            ? Classes(batch.Targets)
            : batch.Targets.reshape(-1).ge(Scalars.Of(0.5)).to(ScalarType.Int64);
        Tensor weights = classWeights.index_select(0, classes);
        return batch.Weights is null ? weights : weights.mul(batch.Weights);
    }

    static Tensor Classes(Tensor targets) => targets.reshape(-1).to(ScalarType.Int64);

    static Tensor Flat(Tensor outputs) => outputs.reshape(outputs.shape[0], -1);

    static Tensor Mean(Tensor values) => values.mean([1], false);
}
