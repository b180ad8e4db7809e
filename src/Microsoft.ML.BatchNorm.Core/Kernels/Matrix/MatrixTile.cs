using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>Picks the code for a tile of 1 to 14 rows, and for a row of 1 to 8 vectors.</summary>
static class MatrixTile
{
    /// <summary>
    /// The most rows of a tile: two vectors of sums in each, two of B and one of A fill 32 registers. Where the runtime
    /// splits a vector in two, one of sums in each of six rows fills 16.
    /// </summary>
    public static int MaxRows => Vector512.IsHardwareAccelerated ? 14 : 6;

    /// <summary>The vectors of a tile's row.</summary>
    public static int Vectors => Vector512.IsHardwareAccelerated ? 2 : 1;

    /// <summary>The most vectors of a single row: as many sums as are under way at once.</summary>
    public static int MaxRowVectors => Vector512.IsHardwareAccelerated ? 8 : 4;

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
