using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace DigitsPipeline;

/// <summary>The digits as two text files in a folder of their own, which goes when this is disposed.</summary>
sealed class DigitsFiles : IDisposable
{
    const int Pixels = 64, Classes = 10;

    readonly string folder = Directory.CreateTempSubdirectory("digits-").FullName;

    public string Train => PathOf("train.csv");

    public string Test => PathOf("test.csv");

    public int TrainRows { get; private init; }

    public int TestRows { get; private init; }

    /// <summary>Unpacks the file beside the program, and splits its lines at random.</summary>
    public static DigitsFiles Create(int trainRows, int seed)
    {
        string packed = Path.Combine(AppContext.BaseDirectory, "data", "digits.csv.gz");
        using var reader = new StreamReader(new GZipStream(File.OpenRead(packed), CompressionMode.Decompress));
        string[] lines = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        new Random(seed).Shuffle(lines);
        var files = new DigitsFiles { TrainRows = trainRows, TestRows = lines.Length - trainRows };
        File.WriteAllLines(files.Train, lines[..trainRows]);
        File.WriteAllLines(files.Test, lines[trainRows..]);
        return files;
    }

    public static TextLoader CreateLoader(MLContext mlContext) => mlContext.Data.CreateTextLoader(
        [
            new TextLoader.Column("Pixels", DataKind.Single, 0, Pixels - 1),
            new TextLoader.Column("Label", DataKind.UInt32, [new TextLoader.Range(Pixels)], new KeyCount(Classes)),
        ],
        separatorChar: ',');

    public string PathOf(string name) => Path.Combine(folder, name);

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
