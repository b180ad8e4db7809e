using System.IO.Compression;

namespace Microsoft.ML.BatchNorm.Tests.Documents;

/// <summary>The files of digits that the README's examples read.</summary>
static class ExampleFiles
{
    public static void Write(string folder)
    {
        using FileStream packed = File.OpenRead(Path.Combine(AppContext.BaseDirectory, "digits.csv.gz"));
        using var reader = new StreamReader(new GZipStream(packed, CompressionMode.Decompress));
        string[] rows = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        File.WriteAllLines(Path.Combine(folder, "digits.csv"), rows[..1000]);
        File.WriteAllLines(Path.Combine(folder, "test.csv"), rows[1000..1400]);
        File.WriteAllLines(Path.Combine(folder, "new-digits.csv"), rows[1400..]);
    }
}
