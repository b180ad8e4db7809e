using Microsoft.ML.BatchNorm.Persistence;

namespace Microsoft.ML.BatchNorm.Training;

/// <summary>What is known of a source's rows when they have been read once.</summary>
/// <param name="Features">The checksum of all features.</param>
/// <param name="Targets">That of all targets.</param>
/// <param name="Weights">That of all weights.</param>
/// <param name="AreFinite">Whether all features are finite.</param>
/// <param name="AreClasses">Whether every target could be the index of a class.</param>
/// <param name="GreatestTarget">The greatest target.</param>
sealed record RowInspection(
    uint Features, uint Targets, uint Weights, bool AreFinite, bool AreClasses, float GreatestTarget)
{
    /// <exception cref="ArgumentException">A weight is out of range.</exception>
    public static RowInspection Of(TrainingData data, Action check)
    {
        ByteSink features = new(Stream.Null), targets = new(Stream.Null), weights = new(Stream.Null);
        bool areFinite = true, areClasses = true;
        float greatest = float.NegativeInfinity;
        foreach (RowPart part in RowPart.Of(data, new RowSet(data)))
        {
            check();
            TrainingData.CheckWeights(part.Weights, nameof(weights));
            features.WriteArray<float>(part.Features);
            targets.WriteArray<float>(part.Targets);
            weights.WriteArray<float>(part.Weights);
            areFinite &= FiniteSearch.AreFinite(part.Features);
            foreach (float target in part.Targets)
            {
                areClasses &= TrainingData.IsClass(target);
                greatest = Math.Max(greatest, target);
            }
        }
        return new(
            features.Checksum.Value, targets.Checksum.Value, weights.Checksum.Value, areFinite, areClasses, greatest);
    }
}
