namespace Microsoft.ML.BatchNorm.Reports.Training;

/// <summary>Losses and metrics in words, with their units.</summary>
static class LossText
{
    public static string Name(Loss loss) => loss switch
    {
        SoftmaxCrossEntropyLoss => "softmax cross-entropy",
        BinaryCrossEntropyLoss => "binary cross-entropy",
        MeanSquaredErrorLoss => "mean squared error",
        MeanAbsoluteErrorLoss => "mean absolute error",
        HuberLoss => "Huber loss",
        _ => "loss",
    };

    public static string Unit(Loss loss) => loss switch
    {
        SoftmaxCrossEntropyLoss or BinaryCrossEntropyLoss => $"{Name(loss)} (nats)",
        MeanSquaredErrorLoss => $"{Name(loss)} (target's unit²)",
        MeanAbsoluteErrorLoss => $"{Name(loss)} (target's unit)",
        _ => Name(loss),
    };

    public static string Metric(Loss loss) => IsAccuracy(loss) ? "accuracy" : "mean absolute error";

    public static string MetricUnit(Loss loss) =>
        IsAccuracy(loss) ? "accuracy (share of rows)" : "mean absolute error (target's unit)";

    public static string Optimizer(Optimizer optimizer) =>
        optimizer.WeightDecay == 0
            ? Kind(optimizer)
            : $"{Kind(optimizer)}, weight decay {Html.Number(optimizer.WeightDecay)} of "
                + (optimizer.DecayedParameters == DecayedParameters.All ? "all parameters" : "kernels");

    static string Kind(Optimizer optimizer) => optimizer switch
    {
        SgdOptimizer { Momentum: > 0, Nesterov: true } sgd => $"SGD, Nesterov momentum {Html.Number(sgd.Momentum)}",
        SgdOptimizer { Momentum: > 0 } sgd => $"SGD, momentum {Html.Number(sgd.Momentum)}",
        SgdOptimizer => "SGD",
        AdamWOptimizer => "AdamW",
        AdamOptimizer => "Adam",
        _ => optimizer.GetType().Name,
    };

    static bool IsAccuracy(Loss loss) => loss is SoftmaxCrossEntropyLoss or BinaryCrossEntropyLoss;
}
