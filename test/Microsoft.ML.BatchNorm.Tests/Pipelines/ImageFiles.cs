using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Pipelines;

/// <summary>
/// A folder of small PNG files: noise and a bright stripe, upright or lying, in one color or another.
/// </summary>
sealed class ImageFiles : IDisposable
{
    const int Width = 24, Height = 20;

    static readonly string[] Kinds = ["red, upright", "red, lying", "blue, upright", "blue, lying"];

    readonly string folder = Directory.CreateTempSubdirectory("images").FullName;

    public ImageFiles(int count = 80, int seed = 1)
    {
        var random = new Random(seed);
        var rows = new List<Row>();
        for (int i = 0; i < count; i++)
        {
            int kind = i % Kinds.Length;
            using MLImage image = MLImage.CreateFromPixels(Width, Height, MLPixelFormat.Bgra32, Pixels(kind, random));
            var row = new Row { Path = Path.Combine(folder, $"{i}.png"), Kind = Kinds[kind] };
            image.Save(row.Path);
            rows.Add(row);
        }
        Rows = rows;
    }

    public IReadOnlyList<Row> Rows { get; }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    static byte[] Pixels(int kind, Random random)
    {
        byte[] pixels = new byte[4 * Width * Height];
        int place = random.Next(4, 16), color = kind < 2 ? 2 : 0;
        for (int y = 0; y < Height; y++)
        {
            for (int x = 0; x < Width; x++)
            {
                Span<byte> pixel = pixels.AsSpan(4 * (y * Width + x), 4);
                for (int channel = 0; channel < 3; channel++)
                    pixel[channel] = (byte)random.Next(20 * channel, 20 * channel + 60);
                if (Math.Abs((kind % 2 == 0 ? x : y) - place) < 3)
                    pixel[color] += 100;
                pixel[3] = byte.MaxValue;
            }
        }
        return pixels;
    }

    public sealed class Row
    {
        public string Path { get; set; } = "";

        public string Kind { get; set; } = "";
    }
}
