using Microsoft.ML;

namespace DigitsPipeline;

/// <summary>A fitted normalization, and the classifier that was trained on what comes out of it.</summary>
sealed record Model(ITransformer Normalization, ITransformer Classifier);
