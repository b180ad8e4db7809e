namespace Microsoft.ML.BatchNorm.Training;

/// <summary>Loss and metric of one row, in double.</summary>
static class RowLoss
{
    public static double Of(Loss loss, ReadOnlySpan<float> output, ReadOnlySpan<float> target)
    {
        if (loss is SoftmaxCrossEntropyLoss)
            return LogSumExp(output) - output[(int)target[0]];
        double sum = 0;
        for (int i = 0; i < output.Length; i++)
            sum += Of(loss, output[i], target[i]);
        return sum / output.Length;
    }

    /// <summary>Accuracy for classes, else the mean absolute error.</summary>
    public static double Metric(Loss loss, ReadOnlySpan<float> output, ReadOnlySpan<float> target)
    {
        if (loss is SoftmaxCrossEntropyLoss)
            return FirstGreatest(output) == (int)target[0] ? 1 : 0;
        double sum = 0;
        for (int i = 0; i < output.Length; i++)
            sum += loss is BinaryCrossEntropyLoss
                ? output[i] > 0 == target[i] >= 0.5f ? 1 : 0
                : Math.Abs((double)output[i] - target[i]);
        return sum / output.Length;
    }

    static double Of(Loss loss, double x, double target)
    {
        double difference = Math.Abs(x - target);
        return loss switch
        {
            BinaryCrossEntropyLoss => Math.Max(x, 0) - x * target + double.LogP1(Math.Exp(-Math.Abs(x))),
            MeanAbsoluteErrorLoss => difference,
            HuberLoss { Delta: var delta } when difference > delta => delta * (difference - delta / 2),
            HuberLoss => difference * difference / 2,
            _ => difference * difference,
        };
    }

    static double LogSumExp(ReadOnlySpan<float> output)
    {
        double greatest = output[FirstGreatest(output)], sum = 0;
        foreach (float value in output)
            sum += Math.Exp(value - greatest);
        return greatest + Math.Log(sum);
    }

    static int FirstGreatest(ReadOnlySpan<float> output)
    {
        int best = 0;
        for (int i = 1; i < output.Length; i++)
        {
            if (output[i] > output[best])
                best = i;
        }
        return best;
    }
}
