namespace Microsoft.ML.BatchNorm.Tests.Kernels;

/// <summary>What the sums of a product start from.</summary>
enum SumsFrom
{
    Zero,
    Output,
    Bias,
}

/// <summary>
/// A product of one shape and what each of its elements must be: fused multiply-adds, one after another, in the order
/// of the sum's steps. Between the rows of every matrix are <c>gap</c> values that are not numbers; where one is read
/// into a sum, or written, it shows.
/// </summary>
sealed unsafe class ProductCase(int rows, int columns, int steps, int gap = 0)
{
    readonly float[] a = Matrix(rows, steps, gap, 1), b = Matrix(steps, columns, gap, 2);
    readonly float[] start = Matrix(rows, columns, gap, 3), bias = Matrix(1, columns, gap, 4);

    /// <summary>Multiplies, and compares every bit of the output and of what lies between its rows.</summary>
    /// <param name="from">What the sums start from.</param>
    /// <param name="transposedA">Whether A is stored as its transpose; then sums do not start from a bias.</param>
    /// <param name="transposedB">Whether B is packed from its transpose.</param>
    /// <param name="packed">Whether B is packed at all.</param>
    /// <param name="parts">The number of calls among which the rows, and the packing, are shared.</param>
    public void Check(
        SumsFrom from, bool transposedA = false, bool transposedB = false, bool packed = true, int parts = 1)
    {
        float[] c = (float[])start.Clone();
        if (from != SumsFrom.Output)
            Fill(c, rows, columns, gap, (_, _) => float.NegativeInfinity);
        fixed (float* plain = b)
        {
            MatrixPanels panels =
                packed ? Pack(transposedB, parts) : MatrixPanels.OfRows(plain, columns + gap, steps, columns);
            for (int part = 0; part < parts; part++)
                Multiply(from, transposedA, panels, c, rows * part / parts, rows * (part + 1) / parts);
        }
        Agreement.SameBits<float>(
            Expected(from), c,
            $"{rows}x{columns}x{steps}, gap {gap}, from {from}, A transposed {transposedA}, B transposed " +
            $"{transposedB}, packed {packed}, {parts} parts:");
    }

    void Multiply(SumsFrom from, bool transposedA, MatrixPanels panels, float[] c, int first, int end)
    {
        int stride = (transposedA ? rows : steps) + gap, cStride = columns + gap;
        fixed (float* factor = transposedA ? Transpose(a, rows, steps, gap) : a, target = c, biasRow = bias)
        {
            float* left = factor + (transposedA ? first : first * stride), to = target + first * cStride;
            bool accumulate = from == SumsFrom.Output;
            if (transposedA)
                MatrixProduct.MultiplyTransposed(left, stride, end - first, panels, to, cStride, accumulate);
            else if (from == SumsFrom.Bias)
                MatrixProduct.Multiply(left, stride, end - first, panels, to, cStride, biasRow);
            else
                MatrixProduct.Multiply(left, stride, end - first, panels, to, cStride, accumulate);
        }
    }

    PackedMatrix Pack(bool transposed, int parts)
    {
        var packed = new PackedMatrix(steps, columns);
        for (int part = 0; part < parts; part++)
        {
            int first = packed.Panels * part / parts, end = packed.Panels * (part + 1) / parts;
            fixed (float* source = transposed ? Transpose(b, steps, columns, gap) : b)
            {
                if (transposed)
                    packed.PackTransposed(source, steps + gap, first, end);
                else
                    packed.Pack(source, columns + gap, first, end);
            }
        }
        return packed;
    }

    float[] Expected(SumsFrom from)
    {
        float[] expected = (float[])start.Clone();
        Fill(expected, rows, columns, gap, (row, column) =>
        {
            float sum = from switch
            {
                SumsFrom.Output => start[row * (columns + gap) + column],
                SumsFrom.Bias => bias[column],
                _ => 0,
            };
            for (int k = 0; k < steps; k++)
                sum = MathF.FusedMultiplyAdd(a[row * (steps + gap) + k], b[k * (columns + gap) + column], sum);
            return sum;
        });
        return expected;
    }

    static float[] Matrix(int rows, int columns, int gap, int seed)
    {
        var random = new Random(seed);
        float[] matrix = new float[rows * (columns + gap)];
        Array.Fill(matrix, float.NaN);
        Fill(matrix, rows, columns, gap, (_, _) => random.NextSingle() - 0.5f);
        return matrix;
    }

    static float[] Transpose(float[] matrix, int rows, int columns, int gap)
    {
        float[] transpose = new float[columns * (rows + gap)];
        Array.Fill(transpose, float.NaN);
        Fill(transpose, columns, rows, gap, (column, row) => matrix[row * (columns + gap) + column]);
        return transpose;
    }

    static void Fill(float[] matrix, int rows, int columns, int gap, Func<int, int, float> value)
    {
        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
                matrix[row * (columns + gap) + column] = value(row, column);
        }
    }
}
