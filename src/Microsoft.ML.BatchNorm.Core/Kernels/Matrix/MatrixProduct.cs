namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Products of row-major matrices of floats. Each element of the output is one chain of fused multiply-adds over the
/// steps of its sum in their order, which starts from zero, from the output's own value or from a bias. Its bits depend
/// on its row of A and its column of B alone: not on the shape, the width of vectors or the number of calls that share
/// the rows. Nothing is allocated, and nothing outside the matrices is read or written. Strides are in floats. Calls
/// may run at the same time on different rows of the output, which must not overlap a factor or the bias.
/// </summary>
static unsafe class MatrixProduct
{
    /// <summary><c>C[m×n] = A[m×k]·B[k×n]</c>, or <c>C += A·B</c>: a layer's output, or its input's gradient.</summary>
    /// <param name="a">The first row of A to multiply.</param>
    /// <param name="aStride">From one row of A to the next, at least k.</param>
    /// <param name="rows">m, the number of rows, at least 0.</param>
    /// <param name="b">B: a <see cref="PackedMatrix"/>, or <see cref="MatrixPanels.OfRows"/>.</param>
    /// <param name="c">The first of the same number of rows of C.</param>
    /// <param name="cStride">From one row of C to the next, at least n.</param>
    /// <param name="accumulate">Whether the sums start from C instead of zero.</param>
    public static void Multiply(
        float* a, nint aStride, int rows, MatrixPanels b, float* c, nint cStride, bool accumulate = false) =>
        MatrixBlocks.Run(a, aStride, 1, rows, b, accumulate ? c : null, cStride, c, cStride);

    /// <summary><c>C[m×n] = bias[n] + A[m×k]·B[k×n]</c>: the same, but the sums start from a bias.</summary>
    public static void Multiply(
        float* a, nint aStride, int rows, MatrixPanels b, float* c, nint cStride, float* bias) =>
        MatrixBlocks.Run(a, aStride, 1, rows, b, bias, 0, c, cStride);

    /// <summary>
    /// <c>C[m×n] = Aᵀ·B[k×n]</c> where A is stored as <c>[k×m]</c>, or <c>C += Aᵀ·B</c>: the gradient of a layer's
    /// weights, where A is the layer's inputs and B the gradient of its outputs, both of k rows.
    /// </summary>
    /// <param name="a">The first column of A to multiply; for the rows of C from i on, the start of A + i.</param>
    /// <param name="aStride">From one row of A to the next.</param>
    /// <param name="rows">m, the number of C's rows and A's columns, at least 0.</param>
    /// <param name="b">B: a <see cref="PackedMatrix"/>, or <see cref="MatrixPanels.OfRows"/>.</param>
    /// <param name="c">The first of the same number of rows of C.</param>
    /// <param name="cStride">From one row of C to the next, at least n.</param>
    /// <param name="accumulate">Whether the sums start from C instead of zero.</param>
    public static void MultiplyTransposed(
        float* a, nint aStride, int rows, MatrixPanels b, float* c, nint cStride, bool accumulate = false) =>
        MatrixBlocks.Run(a, 1, aStride, rows, b, accumulate ? c : null, cStride, c, cStride);
}

/// <summary>
/// Cuts a product into blocks that fit into the caches, and blocks into tiles. The sums of a block of steps go on from
/// what the block before it left in C, so that the cuts do not change any bit.
/// </summary>
static unsafe class MatrixBlocks
{
    /// <summary>The most steps in a block: a panel of so many fills the first-level cache with 32 KB.</summary>
    const int MaxSteps = 256;

    /// <summary>The most rows in a block: with the most steps they take 224 KB of the second-level cache.</summary>
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
        int most = MatrixTile.RowVectors * Simd.Floats;
        for (int column = 0, columns; column < b.Columns; column += columns)
        {
            columns = Math.Min(b.Columns - column, most);
            tile.PanelWidth = b.WidthAt(column);
            tile.A = block.A;
            tile.B = b.At(column) + step * tile.PanelWidth;
            tile.Start = block.Start == null ? null : block.Start + column;
            tile.C = block.C + column;
            bool wide = columns > Simd.Floats;
            tile.LastColumns = wide ? columns - Simd.Floats : columns;
            if (wide)
                Tiles<Count2>(ref tile, rows);
            else
                Tiles<Count1>(ref tile, rows);
        }
    }

    /// <summary>Cuts rows into tiles of almost equal height: a low tile would not keep the processor busy.</summary>
    static void Tiles<TVectors>(ref TileOperands tile, int rows) where TVectors : struct, ICompileTimeInt
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

    /// <summary>One row times several panels at once.</summary>
    static void Row(float* a, nint stepStride, in MatrixPanels b, float* start, float* c)
    {
        int most = MatrixTile.MaxRowVectors * Simd.Floats;
        var row = new TileOperands { A = a, StepStride = stepStride, Steps = b.Steps };
        for (int column = 0; column < b.Columns; column += most)
        {
            int columns = Math.Min(b.Columns - column, most), vectors = Count(columns, Simd.Floats);
            row.LastColumns = columns - (vectors - 1) * Simd.Floats;
            row.B = b.At(column);
            row.Start = start == null ? null : start + column;
            row.C = c + column;
            MatrixTile.RunRow(vectors, row, b.Distance);
        }
        GC.KeepAlive(b.Owner);
    }

    static int Count(int length, int most) => (int)(((uint)length + (uint)most - 1) / (uint)most);

    /// <summary>Where a part starts if there are <paramref name="parts"/> of almost equal length.</summary>
    static int Cut(int length, int part, int parts) => (int)((long)length * part / parts);
}
