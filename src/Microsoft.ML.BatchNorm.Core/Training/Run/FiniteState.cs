namespace Microsoft.ML.BatchNorm.Training;

/// <summary>Whether all that a network has learned is finite.</summary>
static class FiniteState
{
    public static bool Holds(NetworkState state) => state.Paths.All(path => Holds(state[path]));

    static bool Holds(LayerState layer) =>
        AreFinite(layer.Kernel) && AreFinite(layer.Bias)
        && (layer.BatchNormalization is not { } normalization
            || AreFinite(normalization.Gamma) && AreFinite(normalization.Beta)
            && AreFinite(normalization.MovingMean) && AreFinite(normalization.MovingVariance));

    static bool AreFinite(ReadOnlySpan<float> values)
    {
        foreach (float value in values)
        {
            if (!float.IsFinite(value))
                return false;
        }
        return true;
    }

    static bool AreFinite(ReadOnlySpan<double> values)
    {
        foreach (double value in values)
        {
            if (!double.IsFinite(value))
                return false;
        }
        return true;
    }
}
