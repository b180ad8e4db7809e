using System.IO.Compression;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Pipelines;

/// <summary>The handwritten digits that the samples use, read by ML.NET from a text file.</summary>
static class Digits
{
    public const int Slots = 64;

    static readonly Lazy<string> File = new(() =>
    {
        string path = Path.Combine(AppContext.BaseDirectory, "digits.csv");
        using FileStream packed = System.IO.File.OpenRead(Path.ChangeExtension(path, ".csv.gz"));
        using var rows = new GZipStream(packed, CompressionMode.Decompress);
        using FileStream file = System.IO.File.Create(path);
        rows.CopyTo(file);
        return path;
    });

    /// <summary>Label, a number from 0 to 9, and Pixels, from 0 to 16.</summary>
    public static IDataView Load(MLContext? context = null) => (context ?? View.ML).Data.LoadFromTextFile(
        File.Value,
        [
            new TextLoader.Column("Pixels", DataKind.Single, 0, Slots - 1),
            new TextLoader.Column("Label", DataKind.Single, Slots),
        ],
        separatorChar: ',');

    /// <summary>The pixels of all digits, in the file's order.</summary>
    public static float[][] Pixels { get; } = [.. Load().GetColumn<float[]>("Pixels")];

    /// <summary>From the pixels to a predicted digit, with batch normalization before a linear trainer.</summary>
    public static EstimatorChain<ITransformer> Pipeline(MLContext context) =>
        context.Transforms.Conversion.MapValueToKey("Label")
            .AppendCacheCheckpoint(context)
            .Append(context.Transforms.BatchNormalization("Features", "Pixels"))
            .AppendCacheCheckpoint(context)
            .Append<ITransformer>(
                context.MulticlassClassification.Trainers.SdcaMaximumEntropy(maximumNumberOfIterations: 20));

    public sealed class Image
    {
        [VectorType(Slots)]
        public float[] Pixels { get; set; } = [];

        public float Label { get; set; }
    }

    public sealed class Normalized
    {
        public float[] Features { get; set; } = [];
    }

    public sealed class Predicted
    {
        public float[] Features { get; set; } = [];

        public float[] Score { get; set; } = [];
    }
}
