using System.IO.Compression;

namespace PretrainedResNet;

/// <summary>Square pictures in gray, with what they show.</summary>
/// <param name="Width">Their width and height.</param>
/// <param name="Pixels">One array per picture, row by row, from 0 for paper to 1 for ink.</param>
/// <param name="Labels">What they show.</param>
sealed record Pictures(int Width, float[][] Pixels, string[] Labels)
{
    const string FashionFolder = "/usr/share/datasets/fashion-mnist";

    static readonly string[] clothes =
        ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"];

    /// <summary>Handwritten digits of 8 x 8 pixels.</summary>
    public static Pictures Digits()
    {
        Digits digits = Samples.Digits.All();
        return new(Samples.Digits.Width, [.. digits.Pixels.Chunk(Samples.Digits.PixelCount)],
            Array.ConvertAll(digits.Labels, label => $"{label}"));
    }

    /// <summary>
    /// Clothes of 28 x 28 pixels, where Debian's package dataset-fashion-mnist is installed; otherwise null.
    /// </summary>
    public static Pictures? Fashion()
    {
        const int Width = 28, ImageHeader = 16, LabelHeader = 8;
        string images = Path.Combine(FashionFolder, "t10k-images-idx3-ubyte.gz");
        if (!File.Exists(images))
            return null;
        byte[] labels = Read(Path.Combine(FashionFolder, "t10k-labels-idx1-ubyte.gz"))[LabelHeader..];
        return new(Width,
            [
                .. Read(images).Skip(ImageHeader).Chunk(Width * Width)
                    .Select(picture => Array.ConvertAll(picture, value => value / 255f)),
            ],
            Array.ConvertAll(labels, label => clothes[label]));
    }

    /// <summary>The same number of random pictures of each kind, and as many others as are asked for.</summary>
    public (Pictures Few, Pictures Others) Split(int perKind, int others, int seed)
    {
        int[] order = [.. Enumerable.Range(0, Labels.Length)];
        new Random(seed).Shuffle(order);
        int[] few = [.. order.GroupBy(i => Labels[i]).SelectMany(group => group.Take(perKind))];
        return (Take(few), Take([.. order.Except(few).Take(others)]));
    }

    Pictures Take(int[] rows) =>
        new(Width, [.. rows.Select(row => Pixels[row])], [.. rows.Select(row => Labels[row])]);

    static byte[] Read(string path)
    {
        using var stream = new GZipStream(File.OpenRead(path), CompressionMode.Decompress);
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
