namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// How an array of rows is cut where each column is summed by itself. Short rows are packed: several behind each
/// other make one wide row, whose columns are folded together at the end. Columns go in chunks of
/// <see cref="Wide.Count"/>; where the width is no multiple of it, the last chunk starts earlier and repeats columns,
/// so results lie in "chunk space", <see cref="Padded"/> values a row.
/// </summary>
readonly struct ColumnPlan
{
    const int PackedWidth = 32;
    const int TileChunks = TileColumns / Wide.Count;
    const int LeastShardRows = 256;

    /// <summary>The most columns of an item.</summary>
    public const int TileColumns = 512;

    public ColumnPlan(int rows, int columns)
    {
        Columns = columns;
        Pack = Math.Max(1, PackedWidth / columns);
        Width = columns * Pack;
        Rows = rows / Pack;
        LeftOver = rows % Pack;
        Chunks = (Width + Wide.Count - 1) / Wide.Count;
        ShardRows = Math.Max(LeastShardRows, ShardJob.ItemElements / Width);
        Shards = (Rows + ShardRows - 1) / ShardRows;
        Tiles = (Chunks + TileChunks - 1) / TileChunks;
    }

    /// <summary>Columns of the array itself.</summary>
    public int Columns { get; }

    /// <summary>Rows of the array in a packed row.</summary>
    public int Pack { get; }

    /// <summary>Columns of a packed row: at least <see cref="Wide.Count"/>.</summary>
    public int Width { get; }

    /// <summary>Packed rows.</summary>
    public int Rows { get; }

    /// <summary>Rows of the array, at its end, that make no packed row.</summary>
    public int LeftOver { get; }

    public int Chunks { get; }

    public int Padded => Chunks * Wide.Count;

    public int Shards { get; }

    int ShardRows { get; }

    int Tiles { get; }

    public int Items => Shards * Tiles;

    public int FirstColumn(int chunk) => Math.Min(chunk * Wide.Count, Width - Wide.Count);

    public Item ItemAt(int item)
    {
        int shard = item / Tiles, tile = item % Tiles;
        int firstRow = shard * ShardRows, firstChunk = tile * TileChunks;
        return new Item(
            shard, firstRow, Math.Min(ShardRows, Rows - firstRow), firstChunk,
            Math.Min(TileChunks, Chunks - firstChunk));
    }

    public readonly record struct Item(int Shard, int FirstRow, int Rows, int FirstChunk, int Chunks);
}
