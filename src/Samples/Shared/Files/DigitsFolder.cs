using Microsoft.ML;
using Microsoft.ML.Data;

namespace Samples;

/// <summary>
/// Digits as text files in a temporary folder, which is deleted when this is disposed. A line has 64 pixels, from 0 for
/// paper to 16 for ink, and the digit.
/// </summary>
sealed class DigitsFolder : IDisposable
{
    readonly string folder = Directory.CreateTempSubdirectory("digits-").FullName;

    /// <param name="lines">One line per digit.</param>
    /// <param name="files">The files, and how many of the lines each of them takes, in order.</param>
    public DigitsFolder(string[] lines, params (string Name, int Rows)[] files)
    {
        int start = 0;
        foreach ((string name, int rows) in files)
        {
            File.WriteAllLines(this[name], lines[start..(start + rows)]);
            start += rows;
        }
    }

    /// <summary>The path of a file in the folder.</summary>
    public string this[string name] => Path.Combine(folder, name);

    /// <summary>Reads the files into the columns Pixels and Label.</summary>
    public static TextLoader CreateLoader(MLContext mlContext) => mlContext.Data.CreateTextLoader(
        [
            new TextLoader.Column("Pixels", DataKind.Single, 0, Digits.PixelCount - 1),
            new TextLoader.Column(
                "Label", DataKind.UInt32, [new TextLoader.Range(Digits.PixelCount)], new KeyCount(Digits.Classes)),
        ],
        separatorChar: ',');

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
