namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Products of row-major matrices of floats. Every element of the output is one chain of fused multiply-adds over the
/// steps of its sum in their order, from zero, from the output's own value or from a bias: its bits depend on its row of
/// A and its column of B alone, not on the shape, the vectors' width or the number of calls that share the rows.
/// Nothing is allocated, and nothing outside the matrices is read or written. Strides are in floats from row to row.
/// Calls may run at once on distinct rows of the output. The output overlaps neither factor.
/// </summary>
static unsafe class MatrixProduct
{
    /// <summary>The most steps of a sum in one go: a panel of as many takes 32 KB, less than the first cache holds.</summary>
    const int BlockSteps = 256;

    /// <summary><c>C[m×n] = A[m×k]·B[k×n]</c>, or <c>C += A·B</c>: a layer's output, or its input's gradient.</summary>
    /// <param name="a">A's first row of those to multiply.</param>
    /// <param name="aStride">From one row of A to the next, at least k.</param>
    /// <param name="rows">m, the number of rows, from 0.</param>
    /// <param name="b">B, packed.</param>
    /// <param name="c">The first of as many rows of C.</param>
    /// <param name="cStride">From one row of C to the next, at least n.</param>
    /// <param name="accumulate">Whether the sums start from C instead of zero.</param>
    public static void Multiply(
        float* a, nint aStride, int rows, PackedMatrix b, float* c, nint cStride, bool accumulate = false) =>
        Run(a, aStride, 1, rows, b, accumulate ? c : null, cStride, c, cStride);

    /// <summary><c>C[m×n] = bias[n] + A[m×k]·B[k×n]</c>: as above, but the sums start from n values of a bias.</summary>
    public static void Multiply(float* a, nint aStride, int rows, PackedMatrix b, float* c, nint cStride, float* bias) =>
        Run(a, aStride, 1, rows, b, bias, 0, c, cStride);

    /// <summary>
    /// <c>C[m×n] = Aᵀ·B[k×n]</c> where A is stored as <c>[k×m]</c>, or <c>C += Aᵀ·B</c>: the gradient of a layer's
    /// weights, of A, its inputs, and B, its outputs' gradient, both of k rows.
    /// </summary>
    /// <param name="a">A's first column of those to multiply; for a share of C's rows from <c>i</c> on, A's start + i.</param>
    /// <param name="aStride">From one row of A to the next.</param>
    /// <param name="rows">m, the number of C's rows and A's columns, from 0.</param>
    /// <param name="b">B, packed.</param>
    /// <param name="c">The first of as many rows of C.</param>
    /// <param name="cStride">From one row of C to the next, at least n.</param>
    /// <param name="accumulate">Whether the sums start from C instead of zero.</param>
    public static void MultiplyTransposed(
        float* a, nint aStride, int rows, PackedMatrix b, float* c, nint cStride, bool accumulate = false) =>
        Run(a, 1, aStride, rows, b, accumulate ? c : null, cStride, c, cStride);

    static void Run(
        float* a, nint rowStride, nint stepStride, int rows, PackedMatrix b, float* start, nint startStride, float* c,
        nint cStride)
    {
        if (rows == 0)
            return;
        int tiles = (rows + 13) / 14, small = rows / tiles, large = rows % tiles;
        int blocks = Math.Max(1, (b.Steps + BlockSteps - 1) / BlockSteps);
        TileOperands operands;
        operands.RowStride = rowStride;
        operands.StepStride = stepStride;
        operands.CStride = cStride;
        for (int block = 0; block < blocks; block++)
        {
            int from = (int)((long)b.Steps * block / blocks), to = (int)((long)b.Steps * (block + 1) / blocks);
            operands.Steps = to - from;
            operands.StartStride = startStride;
            for (int panel = 0; panel < b.Panels; panel++)
            {
                int columns = b.ColumnsOf(panel), column = panel * PackedMatrix.PanelColumns;
                bool wide = columns > 16;
                operands.LastColumns = wide ? columns - 16 : columns;
                operands.A = a + from * stepStride;
                operands.B = b.Panel(panel) + from * (wide ? 32 : 16);
                operands.Start = start == null ? null : start + column;
                operands.C = c + column;
                for (int tile = 0; tile < tiles; tile++)
                {
                    int height = small + (tile < large ? 1 : 0);
                    if (wide)
                        Tile<Count2>(height, operands);
                    else
                        Tile<Count1>(height, operands);
                    operands.A += height * rowStride;
                    operands.C += height * cStride;
                    if (start != null)
                        operands.Start += height * startStride;
                }
            }
            start = c;
            startStride = cStride;
        }
        GC.KeepAlive(b);
    }

    static void Tile<TVectors>(int rows, in TileOperands operands) where TVectors : struct, ICount
    {
        switch (rows)
        {
            case 1: MatrixTile<Count1, TVectors>.Run(operands); break;
            case 2: MatrixTile<Count2, TVectors>.Run(operands); break;
            case 3: MatrixTile<Count3, TVectors>.Run(operands); break;
            case 4: MatrixTile<Count4, TVectors>.Run(operands); break;
            case 5: MatrixTile<Count5, TVectors>.Run(operands); break;
            case 6: MatrixTile<Count6, TVectors>.Run(operands); break;
            case 7: MatrixTile<Count7, TVectors>.Run(operands); break;
            case 8: MatrixTile<Count8, TVectors>.Run(operands); break;
            case 9: MatrixTile<Count9, TVectors>.Run(operands); break;
            case 10: MatrixTile<Count10, TVectors>.Run(operands); break;
            case 11: MatrixTile<Count11, TVectors>.Run(operands); break;
            case 12: MatrixTile<Count12, TVectors>.Run(operands); break;
            case 13: MatrixTile<Count13, TVectors>.Run(operands); break;
            case 14: MatrixTile<Count14, TVectors>.Run(operands); break;
        }
    }
}
