using Microsoft.ML;
using Microsoft.ML.Data;

namespace PretrainedResNet;

/// <summary>
/// Pictures as PNG files in a temporary folder, which is deleted when this is disposed. Each is drawn in a dark color on
/// a light one, at a random place and size, with noise, so that no two are alike.
/// </summary>
sealed class PhotoFolder : IDisposable
{
    public const int Size = 64;

    const int Channels = 3, Noise = 20;

    readonly string folder = Directory.CreateTempSubdirectory("photos-").FullName;
    readonly Random random;
    int files;

    public PhotoFolder(int seed) => random = new Random(seed);

    /// <summary>Draws each picture into a file, and gives rows of Path and Kind.</summary>
    public IDataView Write(MLContext mlContext, Pictures pictures) => mlContext.Data.LoadFromEnumerable(
        pictures.Pixels.Zip(pictures.Labels, (pixels, label) => new Photo
        {
            Path = Draw(pixels, pictures.Width), Kind = label,
        }).ToArray());

    public void Dispose() => Directory.Delete(folder, recursive: true);

    string Draw(float[] picture, int width)
    {
        double size = Size * (0.6 + 0.3 * random.NextDouble());
        double left = (Size - size) * random.NextDouble(), top = (Size - size) * random.NextDouble();
        int[] paper = Color(150, 256), ink = Color(0, 110);
        byte[] pixels = new byte[4 * Size * Size];
        for (int i = 0; i < Size * Size; i++)
        {
            double share = Between(
                picture, width, (i % Size - left) * width / size - 0.5, (i / Size - top) * width / size - 0.5);
            for (int channel = 0; channel < Channels; channel++)
            {
                double value = paper[channel] + share * (ink[channel] - paper[channel]);
                pixels[4 * i + channel] = (byte)Math.Clamp(value + random.Next(-Noise, Noise + 1), 0, 255);
            }
            pixels[4 * i + Channels] = byte.MaxValue;
        }
        string path = Path.Combine(folder, $"{files++}.png");
        using MLImage image = MLImage.CreateFromPixels(Size, Size, MLPixelFormat.Bgra32, pixels);
        image.Save(path);
        return path;
    }

    int[] Color(int from, int to) => [.. Enumerable.Range(0, Channels).Select(_ => random.Next(from, to))];

    /// <summary>The picture at a place between its pixels; 0 outside of it.</summary>
    static double Between(float[] picture, int width, double x, double y)
    {
        int left = (int)Math.Floor(x), top = (int)Math.Floor(y);
        double sum = 0;
        for (int row = top; row <= top + 1; row++)
        {
            for (int column = left; column <= left + 1; column++)
            {
                if (row >= 0 && row < width && column >= 0 && column < width)
                    sum += picture[row * width + column] * (1 - Math.Abs(x - column)) * (1 - Math.Abs(y - row));
            }
        }
        return sum;
    }

    sealed class Photo
    {
        public string Path { get; set; } = "";

        public string Kind { get; set; } = "";
    }
}
