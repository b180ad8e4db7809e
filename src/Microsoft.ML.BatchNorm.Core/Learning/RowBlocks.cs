namespace Microsoft.ML.BatchNorm.Training;

/// <summary>
/// How rows are cut where they are mixed: into blocks of neighbours, which a disk reads fast, and so many blocks at a
/// time as a window has, which fits in memory. By the number and the size of rows alone, so that they are mixed in the
/// same way wherever they are. Rows that fit in one window are one block.
/// </summary>
readonly record struct RowBlocks
{
    /// <summary>256 KB and 64 MB.</summary>
    const int BlockValues = 1 << 16, WindowValues = 1 << 24;

    public RowBlocks(int rows, int valuesPerRow)
    {
        Rows = rows;
        int blockRows = RowsPerBlock(valuesPerRow), windowBlocks = BlocksPerWindow(valuesPerRow);
        (BlockRows, WindowBlocks) = rows <= (long)blockRows * windowBlocks ? (rows, 1) : (blockRows, windowBlocks);
    }

    /// <summary>The number of rows.</summary>
    public int Rows { get; }

    /// <summary>The rows of a block; the last one may have fewer.</summary>
    public int BlockRows { get; }

    /// <summary>The blocks whose rows are mixed with each other; the last window may have fewer.</summary>
    public int WindowBlocks { get; }

    /// <summary>The number of blocks.</summary>
    public int Count => (int)(((long)Rows + BlockRows - 1) / BlockRows);

    public static int RowsPerBlock(int valuesPerRow) => Math.Max(1, BlockValues / valuesPerRow);

    public static int BlocksPerWindow(int valuesPerRow) =>
        (int)Math.Max(1, WindowValues / ((long)RowsPerBlock(valuesPerRow) * valuesPerRow));

    /// <summary>The first row of a block, or the number of rows behind the last.</summary>
    public int FirstRow(int block) => (int)Math.Min((long)block * BlockRows, Rows);
}
