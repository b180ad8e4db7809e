namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>Picks the code for a tile of 1 to 14 rows, and for a row of 1 to 8 vectors.</summary>
static class MatrixTile
{
    /// <summary>Two sums for each of as many rows, two vectors of B and one of A fill the processor's 32 registers.</summary>
    public const int MaxRows = 14;

    public const int MaxRowVectors = 8;

    public static void Run<TVectors>(int rows, in TileOperands operands) where TVectors : struct, ICount
    {
        switch (rows)
        {
            case 1: TileKernel<Count1, TVectors>.Run(operands); break;
            case 2: TileKernel<Count2, TVectors>.Run(operands); break;
            case 3: TileKernel<Count3, TVectors>.Run(operands); break;
            case 4: TileKernel<Count4, TVectors>.Run(operands); break;
            case 5: TileKernel<Count5, TVectors>.Run(operands); break;
            case 6: TileKernel<Count6, TVectors>.Run(operands); break;
            case 7: TileKernel<Count7, TVectors>.Run(operands); break;
            case 8: TileKernel<Count8, TVectors>.Run(operands); break;
            case 9: TileKernel<Count9, TVectors>.Run(operands); break;
            case 10: TileKernel<Count10, TVectors>.Run(operands); break;
            case 11: TileKernel<Count11, TVectors>.Run(operands); break;
            case 12: TileKernel<Count12, TVectors>.Run(operands); break;
            case 13: TileKernel<Count13, TVectors>.Run(operands); break;
            default: TileKernel<Count14, TVectors>.Run(operands); break;
        }
    }

    public static void RunRow(int vectors, in TileOperands operands, nint panel)
    {
        switch (vectors)
        {
            case 1: SingleRowKernel<Count1>.Run(operands, panel); break;
            case 2: SingleRowKernel<Count2>.Run(operands, panel); break;
            case 3: SingleRowKernel<Count3>.Run(operands, panel); break;
            case 4: SingleRowKernel<Count4>.Run(operands, panel); break;
            case 5: SingleRowKernel<Count5>.Run(operands, panel); break;
            case 6: SingleRowKernel<Count6>.Run(operands, panel); break;
            case 7: SingleRowKernel<Count7>.Run(operands, panel); break;
            default: SingleRowKernel<Count8>.Run(operands, panel); break;
        }
    }
}
