using Microsoft.ML.BatchNorm;

namespace ExposureShift;

/// <summary>Inference with a fitted layer.</summary>
static class Layer
{
    /// <summary>What the layer makes of the data in inference mode: as many values as there are pixels.</summary>
    public static float[] Infer(BatchNormalizationOptions options, BatchNormalizationState state, Digits data)
    {
        float[] outputs = new float[data.Pixels.Length];
        new AffineMap(options, state).Apply(data.Layout, data.Pixels, outputs);
        return outputs;
    }
}
