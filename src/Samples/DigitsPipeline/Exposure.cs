using Microsoft.ML;
using Microsoft.ML.Transforms;

namespace DigitsPipeline;

/// <summary>The same digits at half the contrast, on grey paper.</summary>
static class Exposure
{
    public const string Formula = "0.5 * pixel + 3";

    public static ExpressionTransformer Create(MLContext mlContext, IDataView data) =>
        mlContext.Transforms.Expression("Pixels", "(pixel) : 0.5f * pixel + 3f", "Pixels").Fit(data);
}
