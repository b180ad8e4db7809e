namespace Microsoft.ML.BatchNorm;

static class Average
{
    /// <summary>
    /// The average after <paramref name="value"/>, of which the share <paramref name="decay"/> was there before.
    /// </summary>
    public static double Exponential(double average, double value, double decay) =>
        decay * average + (1 - decay) * value;
}
