namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Products of row-major matrices of floats. Every element of the output is one chain of fused multiply-adds over the
/// steps of its sum in their order, from zero, from the output's own value or from a bias: its bits depend on its row
/// of A and its column of B alone, not on the shape, the vectors' width or the number of calls that share the rows.
/// Nothing is allocated, and nothing outside the matrices is read or written. Strides are in floats from row to row.
/// Calls may run at once on distinct rows of the output. The output overlaps neither factor nor bias.
/// </summary>
static unsafe class MatrixProduct
{
    /// <summary><c>C[m×n] = A[m×k]·B[k×n]</c>, or <c>C += A·B</c>: a layer's output, or its input's gradient.</summary>
    /// <param name="a">A's first row of those to multiply.</param>
    /// <param name="aStride">From one row of A to the next, at least k.</param>
    /// <param name="rows">m, the number of rows, from 0.</param>
    /// <param name="b">B: a <see cref="PackedMatrix"/>, or <see cref="MatrixPanels.OfRows"/>.</param>
    /// <param name="c">The first of as many rows of C.</param>
    /// <param name="cStride">From one row of C to the next, at least n.</param>
    /// <param name="accumulate">Whether the sums start from C instead of zero.</param>
    public static void Multiply(
        float* a, nint aStride, int rows, MatrixPanels b, float* c, nint cStride, bool accumulate = false) =>
        MatrixBlocks.Run(a, aStride, 1, rows, b, accumulate ? c : null, cStride, c, cStride);

    /// <summary><c>C[m×n] = bias[n] + A[m×k]·B[k×n]</c>: as above, but the sums start from n of a bias.</summary>
    public static void Multiply(
        float* a, nint aStride, int rows, MatrixPanels b, float* c, nint cStride, float* bias) =>
        MatrixBlocks.Run(a, aStride, 1, rows, b, bias, 0, c, cStride);

    /// <summary>
    /// <c>C[m×n] = Aᵀ·B[k×n]</c> where A is stored as <c>[k×m]</c>, or <c>C += Aᵀ·B</c>: the gradient of a layer's
    /// weights, of A, its inputs, and B, its outputs' gradient, both of k rows.
    /// </summary>
    /// <param name="a">A's first column of those to multiply: for a share of C's rows from i on, its start + i.</param>
    /// <param name="aStride">From one row of A to the next.</param>
    /// <param name="rows">m, the number of C's rows and A's columns, from 0.</param>
    /// <param name="b">B: a <see cref="PackedMatrix"/>, or <see cref="MatrixPanels.OfRows"/>.</param>
    /// <param name="c">The first of as many rows of C.</param>
    /// <param name="cStride">From one row of C to the next, at least n.</param>
    /// <param name="accumulate">Whether the sums start from C instead of zero.</param>
    public static void MultiplyTransposed(
        float* a, nint aStride, int rows, MatrixPanels b, float* c, nint cStride, bool accumulate = false) =>
        MatrixBlocks.Run(a, 1, aStride, rows, b, accumulate ? c : null, cStride, c, cStride);
}
