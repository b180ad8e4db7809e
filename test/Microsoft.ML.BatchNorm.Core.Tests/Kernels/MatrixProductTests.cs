namespace Microsoft.ML.BatchNorm.Tests.Kernels;

[TestClass]
public sealed unsafe class MatrixProductTests
{
    static IEnumerable<object[]> RowCounts => Enumerable.Range(1, 40).Select(rows => new object[] { rows });

    static IEnumerable<object[]> OddShapes =>
    [
        [1, 128, 64], [1, 129, 65], [1, 127, 300], [1, 513, 7], [2, 260, 33], [3, 95, 257], [5, 31, 511], [7, 33, 512],
        [13, 97, 513], [29, 65, 784], [43, 47, 769], [57, 10, 256], [64, 3, 64], [65, 64, 4], [100, 10, 100],
        [257, 17, 70], [71, 300, 31], [15, 16, 1025], [28, 32, 1], [1, 1, 2000],
    ];

    static IEnumerable<object[]> EmptyShapes => [[0, 5, 5], [5, 0, 5], [5, 5, 0], [0, 0, 0]];

    [TestMethod]
    [DynamicData(nameof(RowCounts))]
    public void Every_small_shape_has_the_bits_of_fused_multiply_adds_in_order(int rows)
    {
        for (int columns = 1; columns <= 40; columns++)
        {
            for (int steps = 1; steps <= 40; steps++)
            {
                // Each way in turn, so that each meets every size of every dimension.
                int way = rows + 3 * columns + 5 * steps;
                var from = (SumsFrom)(way % 3);
                bool transposedA = from != SumsFrom.Bias && way / 3 % 2 == 1;
                new ProductCase(rows, columns, steps, gap: way % 2).Check(from, transposedA, way / 6 % 2 == 1);
            }
        }
    }

    [TestMethod]
    [DynamicData(nameof(OddShapes))]
    [DynamicData(nameof(EmptyShapes))]
    public void Every_way_to_multiply_has_the_same_bits(int rows, int columns, int steps)
    {
        foreach (int gap in new[] { 0, 1, 19 })
        {
            var product = new ProductCase(rows, columns, steps, gap);
            foreach (SumsFrom from in Enum.GetValues<SumsFrom>())
            {
                product.Check(from);
                product.Check(from, transposedB: true);
            }
            foreach (SumsFrom from in new[] { SumsFrom.Zero, SumsFrom.Output })
            {
                product.Check(from, transposedA: true);
                product.Check(from, transposedA: true, transposedB: true);
            }
        }
    }

    [TestMethod]
    [DynamicData(nameof(OddShapes))]
    public void Rows_and_panels_shared_among_calls_have_the_same_bits(int rows, int columns, int steps)
    {
        var product = new ProductCase(rows, columns, steps, gap: 3);
        foreach (int parts in new[] { 2, 3, 7 })
        {
            product.Check(SumsFrom.Output, parts: parts);
            product.Check(SumsFrom.Zero, transposedA: true, transposedB: true, parts: parts);
        }
    }

    [TestMethod]
    public void A_matrix_that_is_not_packed_gives_the_same_bits()
    {
        foreach (int columns in new[] { 16, 32, 48, 64, 128, 144 })
        {
            foreach ((int rows, int steps) in new[] { (1, 1), (1, 70), (2, 16), (13, 300), (40, 5), (230, 31) })
            {
                foreach (int gap in new[] { 0, 7, 16 })
                {
                    var product = new ProductCase(rows, columns, steps, gap);
                    product.Check(SumsFrom.Bias, packed: false);
                    product.Check(SumsFrom.Zero, packed: false, parts: 3);
                    product.Check(SumsFrom.Output, transposedA: true, packed: false);
                }
            }
        }
    }

    [TestMethod]
    public void A_matrix_of_part_of_a_vector_must_be_packed()
    {
        Assert.ThrowsExactly<ArgumentException>(() => MatrixPanels.OfRows(null, 17, 3, 17));
    }

    [TestMethod]
    public void A_matrix_is_packed_again_into_the_same_memory()
    {
        var packed = new PackedMatrix(3, 2);
        float* x = stackalloc float[] { 1, 10, 100 }, y = stackalloc float[2];
        float* first = stackalloc float[] { 1, 2, 3, 4, 5, 6 }, second = stackalloc float[] { 6, 5, 4, 3, 2, 1 };
        packed.Pack(first, 2);
        MatrixProduct.Multiply(x, 3, 1, packed, y, 2);
        Assert.AreEqual((531, 642), (y[0], y[1]));
        packed.PackTransposed(second, 3);
        MatrixProduct.Multiply(x, 3, 1, packed, y, 2);
        Assert.AreEqual((456, 123), (y[0], y[1]));
    }

    [TestMethod]
    public void Special_values_go_through_as_in_scalar_arithmetic()
    {
        float* special = stackalloc float[]
        {
            0f, -0f, float.PositiveInfinity, float.NegativeInfinity, float.NaN, float.Epsilon, float.MaxValue, 1e-30f,
        };
        var packed = new PackedMatrix(1, 8);
        float* products = stackalloc float[64];
        packed.Pack(special, 8);
        MatrixProduct.Multiply(special, 1, 8, packed, products, 8);
        for (int i = 0; i < 64; i++)
        {
            float expected = MathF.FusedMultiplyAdd(special[i / 8], special[i % 8], 0);
            Assert.AreEqual(expected, products[i], $"{special[i / 8]} · {special[i % 8]}");
        }
    }

    [TestMethod]
    public void Nothing_behind_a_matrix_is_read_or_written()
    {
        if (!GuardedFloats.IsSupported)
            Assert.Inconclusive("Guarded memory is made by calls of Linux.");
        (int, int, int)[] shapes =
            [(1, 1, 1), (1, 3, 5), (1, 150, 9), (17, 33, 21), (30, 10, 7), (19, 48, 6), (1, 16, 3)];
        foreach ((int rows, int columns, int steps) in shapes)
        {
            using GuardedFloats a = new(rows * steps), b = new(steps * columns), c = new(rows * columns);
            using GuardedFloats row = new(columns);
            var packed = new PackedMatrix(steps, columns);
            packed.Pack(b.Start, columns);
            MatrixProduct.Multiply(a.Start, steps, rows, packed, c.Start, columns);
            MatrixProduct.Multiply(a.Start, steps, rows, packed, c.Start, columns, accumulate: true);
            MatrixProduct.Multiply(a.Start, steps, rows, packed, c.Start, columns, row.Start);
            packed.PackTransposed(b.Start, steps);
            MatrixProduct.MultiplyTransposed(a.Start, rows, rows, packed, c.Start, columns);
            if (columns % Simd.Floats == 0)
            {
                MatrixPanels plain = MatrixPanels.OfRows(b.Start, columns, steps, columns);
                MatrixProduct.Multiply(a.Start, steps, rows, plain, c.Start, columns, row.Start);
                MatrixProduct.MultiplyTransposed(a.Start, rows, rows, plain, c.Start, columns, accumulate: true);
            }
        }
    }
}
