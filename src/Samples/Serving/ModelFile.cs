using System.IO.Compression;
using Microsoft.ML;

namespace Serving;

/// <summary>A model to serve for those who have none: a small network on the digits.</summary>
static class ModelFile
{
    public static void Create(MLContext mlContext, string path)
    {
        IDataView digits = mlContext.Data.LoadFromEnumerable(ReadDigits());
        ITransformer model = mlContext.Transforms.BatchNormalization("Features", nameof(Digit.Pixels))
            .Append(mlContext.MulticlassClassification.Trainers.BatchNormNetwork())
            .Fit(digits);
        // Under its name there is never half a file, also where two programs start at once.
        string unfinished = $"{path}.{Guid.NewGuid():N}";
        mlContext.Model.Save(model, digits.Schema, unfinished);
        File.Move(unfinished, path, overwrite: true);
    }

    static LabeledDigit[] ReadDigits()
    {
        string packed = Path.Combine(AppContext.BaseDirectory, "data", "digits.csv.gz");
        using var reader = new StreamReader(new GZipStream(File.OpenRead(packed), CompressionMode.Decompress));
        string[] lines = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return Array.ConvertAll(lines, line =>
        {
            float[] values = Array.ConvertAll(line.Split(','), float.Parse);
            return new LabeledDigit
            {
                Pixels = values[..Digit.PixelCount],
                Label = (uint)values[Digit.PixelCount] + 1,
            };
        });
    }
}
