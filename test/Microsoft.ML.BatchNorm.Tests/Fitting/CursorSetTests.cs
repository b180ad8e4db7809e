using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>A view that gives a set of cursors is read by as many threads, with the bits of one.</summary>
[TestClass]
public class CursorSetTests
{
    const int Columns = 21;

    static readonly Func<int, int, int> InTurn = (batch, cursors) => batch % cursors;
    static readonly Func<int, int, int> Scattered = (batch, cursors) => (int)((uint)batch * 2654435761 >> 8) % cursors;
    static readonly Func<int, int, int> AllToTheLast = (_, cursors) => cursors - 1;

    public static IEnumerable<object[]> Batches =>
    [
        [(int[])[64]], [(int[])[128]], [(int[])[1]], [(int[])[3, 64, 61, 7, 200]], [(int[])[0, 63, 65, 0, 1000, 2]],
        [(int[])[20_000]],
    ];

    [TestMethod]
    [DynamicData(nameof(Batches))]
    public void Any_batches_and_any_number_of_cursors_give_the_same_bits(int[] batches)
    {
        IDataView rows = Fits.Vectors(View.Floats(20_005, Columns));
        BatchNormalizationState expected = Fit(rows, threads: 1);
        foreach (Func<int, int, int> owner in (Func<int, int, int>[])[InTurn, Scattered, AllToTheLast])
        {
            foreach (int threads in (int[])[2, 3, 8])
            {
                var set = new CursorSetView(rows, batches, owner);
                Assert.AreEqual(expected, Fit(set, threads));
                Assert.AreEqual((threads, threads), set.Cursors);
            }
        }
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    [DataRow(4)]
    [DataRow(127)]
    [DataRow(128)]
    [DataRow(129)]
    [DataRow(8192)]
    [DataRow(8193)]
    public void Any_number_of_rows_gives_the_same_bits(int count)
    {
        IDataView rows = Fits.Vectors(View.Floats(count, Columns));
        Assert.AreEqual(Fit(rows, threads: 1), Fit(new CursorSetView(rows, [50, 64, 3], Scattered), threads: 4));
    }

    [TestMethod]
    public void Without_a_bound_on_the_threads_a_set_has_64_cursors()
    {
        IDataView rows = Fits.Vectors(View.Floats(5000, Columns));
        var set = new CursorSetView(rows, [16], InTurn);
        Assert.AreEqual(Fit(rows, threads: 1), Fit(set, threads: int.MaxValue));
        Assert.AreEqual((64, 64), set.Cursors);
    }

    [TestMethod]
    public void Sparse_rows_and_doubles_give_the_same_bits()
    {
        IDataView sparse = View.Vectors(Sparse.Of(View.Floats(3000, Columns)), Columns);
        Assert.AreEqual(Fit(sparse, threads: 1), Fit(new CursorSetView(sparse, [70], InTurn), threads: 3));
        IDataView doubles = View.Vectors(View.Dense(View.Doubles(3000, Columns)), Columns);
        Assert.AreEqual(Fit(doubles, threads: 1), Fit(new CursorSetView(doubles, [70], InTurn), threads: 3));
    }

    [TestMethod]
    public void Rows_that_a_mask_hides_leave_every_bit()
    {
        float[][] rows = View.Floats(20_000, Columns);
        bool[] mask = Sample.Mask(rows.Length, 3);
        // A stretch longer than what is read at once, and one at the end.
        mask.AsSpan(5000, 900).Clear();
        mask.AsSpan(19_000).Clear();
        IDataView masked = MaskedRow.View(rows, i => mask[i]);
        Assert.AreEqual(
            Fit(Fits.Vectors([.. rows.Where((_, i) => mask[i])]), threads: 1),
            Fits.Fit(new CursorSetView(masked, [64, 90, 5], Scattered), options =>
                (options.MaskColumnName, options.NumberOfThreads) = ("Counts", 3)));
    }

    [TestMethod]
    public void Several_columns_have_the_bits_that_each_has_alone()
    {
        IDataView rows = Fits.Vectors(View.Floats(3000, Columns));
        IDataView both = View.ML.Transforms.Concatenate("Z", "X", "X")
            .Append(View.ML.Transforms.Conversion.ConvertType("W", "X", DataKind.Double)).Fit(rows).Transform(rows);
        BatchNormalizationTransformer fitted = Fits.Estimator(options =>
        {
            options.Columns = [.. "XZW".Select(name => new InputOutputColumnPair($"Y{name}", $"{name}"))];
            options.NumberOfThreads = 3;
        }).Fit(new CursorSetView(both, [64, 33], InTurn));
        foreach (char name in "XZW")
        {
            var alone = View.ML.Transforms.BatchNormalization("Y", $"{name}").Fit(both);
            Assert.AreEqual(alone.GetState("Y"), fitted.GetState($"Y{name}"));
        }
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(63)]
    [DataRow(64)]
    [DataRow(700)]
    [DataRow(998)]
    [DataRow(999)]
    public void The_first_value_that_is_not_finite_is_named_by_its_row_in_the_data(int row)
    {
        float[][] rows = View.Floats(1000, Columns);
        (rows[row][5], rows[row][Columns - 1]) = (float.PositiveInfinity, float.NaN);
        for (int later = row + 1; later < rows.Length; later++)
            rows[later][0] = float.NaN;
        string message = $"Column 'X' is not finite: row {row}, slot 5 has Infinity.";
        for (int repeat = 0; repeat < 20; repeat++)
        {
            var set = new CursorSetView(Fits.Vectors(rows), [10, 64, 3], Scattered);
            AssertError(message, () => Fit(set, threads: 4));
            Assert.AreEqual((4, 4), set.Cursors);
        }
        IDataView masked = MaskedRow.View(rows, i => i % 3 == row % 3);
        AssertError(message, () => Fits.Fit(new CursorSetView(masked, [10, 64, 3], Scattered), options =>
            (options.MaskColumnName, options.NumberOfThreads) = ("Counts", 4)));
    }

    [TestMethod]
    public void Sums_beyond_a_double_are_an_error()
    {
        double[][] rows = View.Doubles(1000, Columns);
        rows[800][3] = 1e300;
        AssertError("Column 'X': the variance of slot 3 overflows a double", () => Fit(
            new CursorSetView(View.Vectors(View.Dense(rows), Columns), [64], InTurn), threads: 2));
    }

    [TestMethod]
    public void An_error_of_the_view_passes_through_and_ends_all_threads()
    {
        var expected = new IOException("The disk is gone.");
        foreach (int row in (int[])[0, 1, 500, 2999])
        {
            var set = new CursorSetView(Fits.Vectors(View.Floats(3000, Columns)), [20], InTurn, onRow: at =>
            {
                if (at == row)
                    throw expected;
            });
            Assert.AreSame(expected, Assert.ThrowsExactly<IOException>(() => Fit(set, threads: 3)));
            Assert.AreEqual((3, 3), set.Cursors);
        }
    }

    [TestMethod]
    public void A_cancelled_fit_ends_all_threads()
    {
        var context = new MLContext(1);
        long read = 0;
        var endless = new GeneratedView(Columns, rows: null, (row, x) => x.Fill(row));
        var set = new CursorSetView(endless, [64], InTurn, onRow: row =>
        {
            Interlocked.Increment(ref read);
            if (row == 10_000)
                context.CancelExecution();
        });
        Assert.ThrowsExactly<OperationCanceledException>(
            () => Fits.Estimator(options => options.NumberOfThreads = 2, context).Fit(set));
        Assert.AreEqual((2, 2), set.Cursors);
        Assert.IsTrue(Interlocked.Read(ref read) < 20_000, $"{read} rows were read.");
    }

    [TestMethod]
    public void A_set_without_rows_is_an_error_as_one_cursor_without_rows_is()
    {
        IDataView rows = Fits.Vectors(View.Floats(100, Columns));
        AssertError("The data has no rows", () => Fit(
            new CursorSetView(View.ML.Data.SkipRows(rows, 100), [64], InTurn), threads: 2));
        AssertError("All 100 rows are hidden by mask column 'Counts'", () => Fits.Fit(
            new CursorSetView(MaskedRow.View(View.Floats(100, Columns), _ => false), [64], InTurn),
            options => (options.MaskColumnName, options.NumberOfThreads) = ("Counts", 2)));
    }

    [TestMethod]
    public void Batch_numbers_against_the_contract_still_count_every_row_once()
    {
        IDataView rows = Fits.Vectors(View.Floats(5000, Columns));
        BatchNormalizationState expected = Fit(rows, threads: 1);
        foreach (Func<int, long> number in (Func<int, long>[])[_ => 4, batch => -batch, batch => batch * 7919 % 101,
            _ => long.MaxValue, _ => long.MinValue])
        {
            BatchNormalizationState actual = Fit(new CursorSetView(rows, [64], InTurn, number), threads: 3);
            Agreement.SameBits(expected.GetPopulation()!.Count, actual.GetPopulation()!.Count);
            Agreement.Within(1e-14, expected.MovingMean, actual.MovingMean);
            Agreement.Within(1e-12, expected.MovingVariance, actual.MovingVariance);
        }
    }

    [TestMethod]
    public void The_views_of_ML_NET_give_the_same_bits_on_any_number_of_threads()
    {
        IDataView rows = Fits.Vectors(View.Floats(10_000, Columns));
        IDataView filtered = View.ML.Data.FilterByCustomPredicate<View.Vector<float>>(
            rows, row => row.X.GetValues()[0] > 3);
        string path = Path.GetTempFileName();
        using (FileStream file = File.Create(path))
            View.ML.Data.SaveAsText(rows, file, schema: false, headerRow: false);
        IDataView[] views =
        [
            Mapped(rows), View.ML.Data.Cache(rows), Mapped(View.ML.Data.Cache(rows)), Mapped(filtered),
            View.ML.Data.TakeRows(Mapped(rows), 777),
            View.ML.Data.LoadFromTextFile(path, [new TextLoader.Column("X", DataKind.Single, 0, Columns - 1)]),
        ];
        foreach (IDataView view in views)
        {
            BatchNormalizationState expected = Fit(view, threads: 1);
            foreach (int? threads in (int?[])[2, 5, null])
                Assert.AreEqual(expected, Fit(view, threads));
        }
        File.Delete(path);
    }

    static BatchNormalizationState Fit(IDataView view, int? threads) =>
        Fits.Fit(view, options => options.NumberOfThreads = threads);

    /// <summary>The column through one of ML.NET's mappers.</summary>
    static IDataView Mapped(IDataView view) => View.ML.Transforms.Concatenate("X", "X").Fit(view).Transform(view);

    static void AssertError(string message, Func<BatchNormalizationState> fit) =>
        StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(() => fit()).Message, message);
}
