namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>The tensors of a batch normalization's state: γ and β F32, statistics F64, batches I64.</summary>
static class StateTensors
{
    public static IEnumerable<SafetensorsTensor> Of(BatchNormalizationState state, StateNames names)
    {
        SafetensorsShape channels = SafetensorsShape.Of(state.Channels);
        yield return new(names.Mean, "F64", channels, sink => sink.WriteArray(state.MovingMean));
        yield return new(names.Variance, "F64", channels, sink => sink.WriteArray(state.MovingVariance));
        if (state.Renorm is { } renorm)
        {
            yield return new(names.Renorm[0], "F64", channels, sink => sink.WriteArray(renorm.MovingStandardDeviation));
            yield return new(names.Renorm[1], "F64", channels, sink => sink.WriteArray(renorm.Mean));
            yield return new(names.Renorm[2], "F64", channels, sink => sink.WriteArray(renorm.StandardDeviation));
        }
        if (names.Batches is not null)
            yield return new(names.Batches, "I64", SafetensorsShape.Scalar, sink => sink.Write(state.BatchesSeen));
        if (!state.Gamma.IsEmpty)
            yield return new(names.Gamma, "F32", channels, sink => sink.WriteArray(state.Gamma));
        if (!state.Beta.IsEmpty)
            yield return new(names.Beta, "F32", channels, sink => sink.WriteArray(state.Beta));
    }
}
