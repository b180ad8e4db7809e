using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>Sparse rows, some without any stored value, are the dense rows with their zeros.</summary>
[TestClass]
public class SparseRowTests
{
    const int Count = 103;

    [TestMethod]
    [DataRow(5, DisplayName = "in batches")]
    [DataRow(40, DisplayName = "where the cursor puts them")]
    [DataRow(1500, DisplayName = "in batches, long")]
    public void Fitted_and_transformed_they_have_the_bits_of_dense_rows(int length)
    {
        AssertSame([.. Sample.Floats(Count * length, 1, mean: 3, deviation: 2).Chunk(length)]);
        AssertSame([.. Sample.Doubles(Count * length, 1, mean: 3, deviation: 2).Chunk(length)]);
    }

    [TestMethod]
    [DataRow(5)]
    [DataRow(40)]
    public void Rows_of_which_none_stores_a_value_have_mean_and_variance_zero(int length)
    {
        IDataView view = View.Vectors([.. Enumerable.Repeat(new VBuffer<float>(length, 0, [], []), Count)], length);
        BatchNormalizationTransformer fitted = View.ML.Transforms.BatchNormalization("Y", "X").Fit(view);
        Agreement.SameBits<double>(new double[length], fitted.GetState("Y").MovingMean);
        Agreement.SameBits<double>(new double[length], fitted.GetState("Y").MovingVariance);
        foreach (float[] row in fitted.Transform(view).Rows<float>("Y"))
            Agreement.SameBits<float>(new float[length], row);
    }

    static void AssertSame<T>(T[][] rows) where T : struct
    {
        int length = rows[0].Length;
        var sparse = new VBuffer<T>[rows.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            // Every fourth row stores nothing, some are dense, some store zeros or all slots.
            int[] kept = (i % 4) switch
            {
                0 => [],
                1 => [.. Enumerable.Range(0, length)],
                _ => [.. Enumerable.Range(0, length).Where(slot => (slot + i) % 3 == 0)],
            };
            rows[i] = [.. rows[i].Select((value, slot) => kept.Contains(slot) && slot != i % 7 ? value : default)];
            sparse[i] = i % 8 == 5
                ? new VBuffer<T>(length, rows[i])
                : new VBuffer<T>(length, kept.Length, [.. kept.Select(slot => rows[i][slot])], kept);
        }
        IDataView dense = View.Vectors(View.Dense(rows), length), mixed = View.Vectors(sparse, length);
        foreach (MovingStatistics kind in Enum.GetValues<MovingStatistics>())
        {
            BatchNormalizationEstimator estimator =
                Fits.Estimator(BatchNormalizationOptions.Keras with { MovingStatistics = kind }, batchSize: 20);
            BatchNormalizationTransformer expected = estimator.Fit(dense), actual = estimator.Fit(mixed);
            Assert.AreEqual(expected.GetState("Y"), actual.GetState("Y"));
            CollectionAssert.AreEqual(Values(expected.Transform(dense)), Values(actual.Transform(mixed)));
        }
    }

    static string[] Values(IDataView view) =>
        Estimator.Table.Values(View.ML.Transforms.SelectColumns("Y").Fit(view).Transform(view));
}
