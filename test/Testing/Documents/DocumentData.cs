using System.IO.Compression;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>The files that the documents' code reads, from the data of the samples.</summary>
static class DocumentData
{
    public static void Write(string folder)
    {
        string data = Path.Combine(DotNetBuild.Root, "src", "Samples", "data");
        foreach (string file in Directory.GetFiles(data, "*.csv"))
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        using var reader = new StreamReader(
            new GZipStream(File.OpenRead(Path.Combine(data, "digits.csv.gz")), CompressionMode.Decompress));
        string[] rows = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        File.WriteAllLines(Path.Combine(folder, "digits.csv"), rows);
        File.WriteAllLines(Path.Combine(folder, "new-digits.csv"), rows[1000..1400]);
        File.WriteAllLines(Path.Combine(folder, "test.csv"), rows[1400..]);
    }
}
