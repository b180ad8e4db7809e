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
        Crc32C features = new(), targets = new(), weights = new();
        bool areFinite = true, areClasses = true;
        float greatest = float.NegativeInfinity;
        foreach (RowPart part in RowPart.Of(data, new RowSet(data)))
        {
            check();
            TrainingData.CheckWeights(part.Weights, nameof(weights));
            features.Append<float>(part.Features);
            targets.Append<float>(part.Targets);
            weights.Append<float>(part.Weights);
            areFinite &= FiniteSearch.AreFinite(part.Features);
            foreach (float target in part.Targets)
            {
                areClasses &= TrainingData.IsClass(target);
                greatest = Math.Max(greatest, target);
            }
        }
        return new(features.Value, targets.Value, weights.Value, areFinite, areClasses, greatest);
    }
}
