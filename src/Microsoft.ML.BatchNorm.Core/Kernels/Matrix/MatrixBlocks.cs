namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Cuts a product into blocks that the caches hold, and those into tiles. The sums of a block go on from what the block
/// of steps before it left in C, so that no cut shows in the bits.
/// </summary>
static unsafe class MatrixBlocks
{
    /// <summary>The most steps in a block: a panel of as many takes 32 KB, what the first cache holds.</summary>
    const int MaxSteps = 256;

    /// <summary>The most rows in a block: as many of as many steps take 224 KB of the second cache.</summary>
    const int MaxRows = 224;

    /// <summary><c>C = start + A·B</c>.</summary>
    /// <param name="a">A, row by <paramref name="rowStride"/>, step by <paramref name="stepStride"/>.</param>
    /// <param name="rowStride">From one row of A to the next.</param>
    /// <param name="stepStride">From one element of a row of A to the next.</param>
    /// <param name="rows">The rows of A and C.</param>
    /// <param name="b">B.</param>
    /// <param name="start">What the sums start from, row by <paramref name="startStride"/>; null for zero.</param>
    /// <param name="startStride">From one row of <paramref name="start"/> to the next.</param>
    /// <param name="c">C.</param>
    /// <param name="cStride">From one row of C to the next.</param>
    public static void Run(
        float* a, nint rowStride, nint stepStride, int rows, in MatrixPanels b, float* start, nint startStride,
        float* c, nint cStride)
    {
        if (rows == 1 && b.IsPacked)
        {
            Row(a, stepStride, b, start, c);
            return;
        }
        var block = new TileOperands { RowStride = rowStride, StepStride = stepStride, CStride = cStride };
        int stepBlocks = Math.Max(1, Count(b.Steps, MaxSteps)), rowBlocks = Count(rows, MaxRows);
        for (int stepBlock = 0; stepBlock < stepBlocks; stepBlock++)
        {
            int step = Cut(b.Steps, stepBlock, stepBlocks);
            block.Steps = Cut(b.Steps, stepBlock + 1, stepBlocks) - step;
            block.StartStride = startStride;
            for (int rowBlock = 0; rowBlock < rowBlocks; rowBlock++)
            {
                int row = Cut(rows, rowBlock, rowBlocks), end = Cut(rows, rowBlock + 1, rowBlocks);
                block.A = a + row * rowStride + step * stepStride;
                block.Start = start == null ? null : start + row * startStride;
                block.C = c + row * cStride;
                Tiles(block, end - row, b, step);
            }
            start = c;
            startStride = cStride;
        }
        GC.KeepAlive(b.Owner);
    }

    static void Tiles(in TileOperands block, int rows, in MatrixPanels b, int step)
    {
        TileOperands tile = block;
        int most = MatrixTile.Vectors * PackedMatrix.Lanes;
        for (int column = 0, columns; column < b.Columns; column += columns)
        {
            columns = Math.Min(b.Columns - column, most);
            tile.PanelWidth = b.WidthAt(column);
            tile.A = block.A;
            tile.B = b.At(column) + step * tile.PanelWidth;
            tile.Start = block.Start == null ? null : block.Start + column;
            tile.C = block.C + column;
            bool wide = columns > PackedMatrix.Lanes;
            tile.LastColumns = wide ? columns - PackedMatrix.Lanes : columns;
            if (wide)
                Tiles<Count2>(ref tile, rows);
            else
                Tiles<Count1>(ref tile, rows);
        }
    }

    /// <summary>A panel's rows in tiles as equal as can be: a low one does not keep the processor busy.</summary>
    static void Tiles<TVectors>(ref TileOperands tile, int rows) where TVectors : struct, ICount
    {
        int tiles = Count(rows, MatrixTile.MaxRows), height = rows / tiles, higher = rows - tiles * height;
        for (int i = 0; i < tiles; i++)
        {
            int tileRows = i < higher ? height + 1 : height;
            MatrixTile.Run<TVectors>(tileRows, tile);
            tile.A += tileRows * tile.RowStride;
            tile.C += tileRows * tile.CStride;
            if (tile.Start != null)
                tile.Start += tileRows * tile.StartStride;
        }
    }

    /// <summary>One row, by several panels at once.</summary>
    static void Row(float* a, nint stepStride, in MatrixPanels b, float* start, float* c)
    {
        int most = MatrixTile.MaxRowVectors * PackedMatrix.Lanes;
        var row = new TileOperands { A = a, StepStride = stepStride, Steps = b.Steps };
        for (int column = 0; column < b.Columns; column += most)
        {
            int columns = Math.Min(b.Columns - column, most), vectors = Count(columns, PackedMatrix.Lanes);
            row.LastColumns = columns - (vectors - 1) * PackedMatrix.Lanes;
            row.B = b.At(column);
            row.Start = start == null ? null : start + column;
            row.C = c + column;
            MatrixTile.RunRow(vectors, row, b.Distance);
        }
        GC.KeepAlive(b.Owner);
    }

    static int Count(int length, int most) => (int)(((uint)length + (uint)most - 1) / (uint)most);

    /// <summary>Where part <paramref name="part"/> of <paramref name="parts"/>, as equal as can be, starts.</summary>
    static int Cut(int length, int part, int parts) => (int)((long)length * part / parts);
}
