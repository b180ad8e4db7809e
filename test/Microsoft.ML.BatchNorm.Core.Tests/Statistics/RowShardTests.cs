namespace Microsoft.ML.BatchNorm.Tests.Statistics;

/// <summary>Rows that are summed one after the other, apart from each other, agree with those of one array.</summary>
[TestClass]
public sealed class RowShardTests
{
    [TestMethod]
    [DataRow(8)]
    [DataRow(9)]
    [DataRow(15)]
    [DataRow(16)]
    [DataRow(31)]
    [DataRow(64)]
    [DataRow(1000)]
    public void Floats_and_doubles_of_any_width(int columns)
    {
        foreach (int rows in (int[])[1, 3, 4, 5, 203])
        {
            float[] x = Sample.Floats(rows * columns, 1, mean: 100, deviation: 0.5);
            AssertAgree(x, columns, statistics => statistics.Add(ChannelLayout.Features(rows, columns), x));
            double[] wide = Sample.Doubles(rows * columns, 1, mean: 100, deviation: 0.5);
            AssertAgree(wide, columns, statistics => statistics.Add(ChannelLayout.Features(rows, columns), wide));
        }
    }

    [TestMethod]
    public void A_mean_of_1e4_and_a_deviation_of_a_tenth_keep_twelve_digits()
    {
        // Centred five away; decimal holds floats of this size exactly.
        const int Rows = 8192, Columns = 8;
        float[] x = Sample.Floats(Rows * Columns, 1, mean: 1e4, deviation: 0.1);
        for (int column = 0; column < Columns; column++)
            x[column] = x[Columns + column] = x[2 * Columns + column] = x[3 * Columns + column] = 1e4f + 5;
        BatchStatistics actual = Sum(x, Columns, new Rows<float>(Columns));
        for (int column = 0; column < Columns; column++)
        {
            decimal mean = 0, squares = 0;
            for (int i = column; i < x.Length; i += Columns)
                mean += (decimal)(double)x[i] / Rows;
            for (int i = column; i < x.Length; i += Columns)
                squares += ((decimal)(double)x[i] - mean) * ((decimal)(double)x[i] - mean);
            Assert.AreEqual(1, actual.M2[column] / (double)squares, 1e-12);
        }
    }

    [TestMethod]
    public void The_next_shard_knows_nothing_of_the_one_before()
    {
        float[] x = Sample.Floats(40 * 20, 1), y = Sample.Floats(40 * 20, 2, mean: 7);
        var shard = new Rows<float>(20);
        Sum(x, 20, shard);
        BatchStatistics fresh = Sum(y, 20, new Rows<float>(20)), second = Sum(y, 20, shard);
        Agreement.SameBits(fresh.Mean, second.Mean);
        Agreement.SameBits(fresh.M2, second.M2);
        Assert.AreEqual(0, shard.Count);
    }

    [TestMethod]
    public void Units_summed_apart_from_each_other_have_the_bits_of_one_after_the_other()
    {
        const int Columns = 21, Units = 5;
        float[] x = Sample.Floats(Units * RowUnit.MostRows * Columns, 1, mean: 50);
        var expected = Sum(x, Columns, new Rows<float>(Columns));
        RowCenter center = RowCenter.Of(Row(0), Row(1), Row(2), Row(3));
        RowUnit[] units = [.. Enumerable.Range(0, Units).Select(_ => new RowUnit(Columns))];
        for (int unit = Units - 1; unit >= 0; unit--)
        {
            units[unit].Begin(center);
            for (int row = unit * RowUnit.MostRows; row < (unit + 1) * RowUnit.MostRows; row += 4)
                Assert.IsTrue(units[unit].Add(Row(row), Row(row + 1), Row(row + 2), Row(row + 3)));
        }
        var shard = new RowShard(Columns);
        Array.ForEach(units, shard.Add);
        var actual = new BatchStatistics(Columns);
        shard.MoveTo(actual);
        Agreement.SameBits(expected.Mean, actual.Mean);
        Agreement.SameBits(expected.M2, actual.M2);
        Assert.IsTrue(units.All(unit => unit.Rows == 0));

        ReadOnlySpan<float> Row(int row) => x.AsSpan(row * Columns, Columns);
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    [DataRow(float.NegativeInfinity)]
    public void A_value_that_is_not_finite_is_told_at_once(float value)
    {
        for (int at = 0; at < 5 * 19; at++)
        {
            float[] x = Sample.Floats(5 * 19, 1);
            x[at] = value;
            var shard = new Rows<float>(19);
            Assert.AreEqual(
                at >= 4 * 19, shard.Add(x.AsSpan(0, 19), x.AsSpan(19, 19), x.AsSpan(38, 19), x.AsSpan(57, 19)));
            if (at >= 4 * 19)
                Assert.IsFalse(shard.Add(x.AsSpan(76)));
            Assert.ThrowsExactly<InvalidDataException>(() => shard.MoveTo(new BatchStatistics(19)));
        }
    }

    [TestMethod]
    public void A_square_beyond_a_double_is_an_error()
    {
        double[] x = new double[10];
        x[3] = 1e300;
        var shard = new Rows<double>(10);
        shard.Add(new double[10]);
        shard.Add(x);
        Assert.ThrowsExactly<InvalidDataException>(() => shard.MoveTo(new BatchStatistics(10)));
    }

    [TestMethod]
    public void A_row_of_another_length_is_refused()
    {
        var shard = new Rows<float>(10);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => shard.Add(new float[9]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => shard.Add(new float[10], new float[10], new float[10], new float[11]));
        Assert.AreEqual(0, shard.Count);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new RowShard(7));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new RowUnit(7));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => RowCenter.Of<float>(default, default, default, default));
    }

    static void AssertAgree<T>(T[] x, int columns, Action<BatchStatistics> add) where T : unmanaged
    {
        var expected = new BatchStatistics(columns);
        add(expected);
        BatchStatistics actual = Sum(x, columns, new Rows<T>(columns));
        Agreement.SameBits(expected.Count, actual.Count);
        Agreement.Within(1e-14, expected.Mean, actual.Mean, "mean");
        Agreement.Within(1e-12, expected.M2, actual.M2, "M2");
    }

    static BatchStatistics Sum<T>(T[] x, int columns, Rows<T> shard) where T : unmanaged
    {
        int at = 0;
        for (; at <= x.Length - 4 * columns; at += 4 * columns)
            Assert.IsTrue(shard.Add(Row(at), Row(at + columns), Row(at + 2 * columns), Row(at + 3 * columns)));
        for (; at < x.Length; at += columns)
            Assert.IsTrue(shard.Add(Row(at)));
        var statistics = new BatchStatistics(columns);
        shard.MoveTo(statistics);
        return statistics;

        ReadOnlySpan<T> Row(int from) => x.AsSpan(from, columns);
    }

    /// <summary>A shard whose units are made of rows as they come.</summary>
    sealed class Rows<T>(int columns) where T : unmanaged
    {
        readonly RowShard shard = new(columns);
        readonly RowUnit unit = new(columns);
        RowCenter? center;

        public int Count => shard.Rows + unit.Rows;

        public bool Add(ReadOnlySpan<T> a, ReadOnlySpan<T> b, ReadOnlySpan<T> c, ReadOnlySpan<T> d)
        {
            Begin(a, b, c, d);
            return unit.Add(a, b, c, d);
        }

        public bool Add(ReadOnlySpan<T> row)
        {
            Begin(row, row, row, row);
            return unit.Add(row);
        }

        public void MoveTo(BatchStatistics statistics)
        {
            shard.Add(unit);
            shard.MoveTo(statistics);
        }

        void Begin(ReadOnlySpan<T> a, ReadOnlySpan<T> b, ReadOnlySpan<T> c, ReadOnlySpan<T> d)
        {
            if (unit.IsFull)
                shard.Add(unit);
            if (Count == 0)
                center = RowCenter.Of(a, b, c, d);
            unit.Begin(center!);
        }
    }
}
