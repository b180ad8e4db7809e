namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>The losses and their gradients, row by row.</summary>
static class NaiveLoss
{
    public static (double Value, double[] Gradient) Of(Loss loss, double[] x, float[] targets, double[] weights)
    {
        int rows = weights.Length, width = x.Length / rows;
        double total = weights.Sum(), value = 0;
        double[] gradient = new double[x.Length];
        for (int row = 0; row < rows; row++)
        {
            double share = weights[row] / total;
            double[] outputs = x[(row * width)..((row + 1) * width)];
            if (loss is SoftmaxCrossEntropyLoss)
            {
                double sum = outputs.Sum(Math.Exp);
                int target = (int)targets[row];
                value += share * (Math.Log(sum) - outputs[target]);
                for (int i = 0; i < width; i++)
                    gradient[row * width + i] = share * (Math.Exp(outputs[i]) / sum - (i == target ? 1 : 0));
                continue;
            }
            for (int i = 0; i < width; i++)
            {
                (double one, double slope) = One(loss, outputs[i], targets[row * width + i]);
                value += share * one / width;
                gradient[row * width + i] = share * slope / width;
            }
        }
        return (value, gradient);
    }

    static (double Value, double Slope) One(Loss loss, double x, double target)
    {
        double d = x - target;
        return loss switch
        {
            BinaryCrossEntropyLoss => (
                -target * Math.Log(1 / (1 + Math.Exp(-x))) - (1 - target) * Math.Log(1 / (1 + Math.Exp(x))),
                1 / (1 + Math.Exp(-x)) - target),
            MeanSquaredErrorLoss => (d * d, 2 * d),
            MeanAbsoluteErrorLoss => (Math.Abs(d), Math.Sign(d)),
            HuberLoss huber => Math.Abs(d) <= huber.Delta
                ? (d * d / 2, d)
                : (huber.Delta * (Math.Abs(d) - huber.Delta / 2), huber.Delta * Math.Sign(d)),
            _ => throw new NotSupportedException(loss.ToString()),
        };
    }
}
