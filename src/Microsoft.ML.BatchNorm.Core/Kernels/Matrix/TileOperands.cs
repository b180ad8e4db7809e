namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>What a tile of <c>C = A·B</c> reads and writes. Strides are in elements.</summary>
unsafe struct TileOperands
{
    /// <summary>A, row by <see cref="RowStride"/>, step of the sums by <see cref="StepStride"/>.</summary>
    public float* A;

    public nint RowStride, StepStride;

    /// <summary>The panel's columns at the first step.</summary>
    public float* B;

    /// <summary>From one step to the next in the panel.</summary>
    public nint PanelWidth;

    /// <summary>The number of steps of the sum.</summary>
    public nint Steps;

    /// <summary>What the sums start from, row by <see cref="StartStride"/>; null for zero.</summary>
    public float* Start;

    public nint StartStride;

    public float* C;

    public nint CStride;

    /// <summary>The columns of the last vector that C has, 1 to 16.</summary>
    public int LastColumns;
}
