using System.IO.Compression;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>The files that the documents' code reads, from the digits of the samples.</summary>
static class DocumentData
{
    public static void Write(string folder)
    {
        string path = Path.Combine(DotNetBuild.Root, "src", "Samples", "data", "digits.csv.gz");
        using var reader = new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress));
        string[] rows = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        File.WriteAllLines(Path.Combine(folder, "digits.csv"), rows);
        File.WriteAllLines(Path.Combine(folder, "new-digits.csv"), rows[1000..1400]);
        File.WriteAllLines(Path.Combine(folder, "test.csv"), rows[1400..]);
    }
}
