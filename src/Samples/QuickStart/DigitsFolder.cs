using System.IO.Compression;

namespace QuickStart;

/// <summary>Digits as text files, 64 pixels and a label a line, in a folder that goes when this is disposed.</summary>
sealed class DigitsFolder : IDisposable
{
    readonly string folder = Directory.CreateTempSubdirectory("quick-start-").FullName;

    public DigitsFolder()
    {
        string packed = Path.Combine(AppContext.BaseDirectory, "data", "digits.csv.gz");
        using var reader = new StreamReader(new GZipStream(File.OpenRead(packed), CompressionMode.Decompress));
        string[] rows = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        File.WriteAllLines(this["digits.csv"], rows[..1000]);
        File.WriteAllLines(this["test.csv"], rows[1000..1400]);
        File.WriteAllLines(this["new-digits.csv"], rows[1400..]);
    }

    /// <summary>The path of a file in it.</summary>
    public string this[string name] => Path.Combine(folder, name);

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
