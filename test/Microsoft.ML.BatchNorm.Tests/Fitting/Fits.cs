using System.Reflection;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>Fits of a column X to Y, and the core's own loops over the same batches.</summary>
static class Fits
{
    public static BatchNormalizationEstimator Estimator(
        Action<BatchNormalizationEstimator.Options> change, MLContext? context = null)
    {
        var options = new BatchNormalizationEstimator.Options { Columns = [new InputOutputColumnPair("Y", "X")] };
        change(options);
        return (context ?? View.ML).Transforms.BatchNormalization(options);
    }

    public static BatchNormalizationEstimator Estimator(BatchNormalizationOptions layer, int batchSize = 256) =>
        Estimator(options => (options.Layer, options.BatchSize) = (layer, batchSize));

    public static BatchNormalizationState Fit(
        IDataView view, Action<BatchNormalizationEstimator.Options> change) =>
        Estimator(change).Fit(view).GetState("Y");

    public static BatchNormalizationState Fit(IDataView view, BatchNormalizationOptions layer, int batchSize = 256) =>
        Estimator(layer, batchSize).Fit(view).GetState("Y");

    /// <summary>The state after the core has seen the rows in batches of the given sizes.</summary>
    public static BatchNormalizationState Loop(
        BatchNormalizationOptions layer, float[][] rows, IEnumerable<int> batches, BatchNormalizationState? from = null)
    {
        BatchNormalizationState state = from ?? BatchNormalization.Initialize(layer, rows[0].Length);
        int at = 0;
        foreach (int size in batches)
        {
            float[] batch = [.. rows[at..(at + size)].SelectMany(row => row)];
            state = BatchNormalization.UpdateMovingStatistics(
                layer, state, ChannelLayout.Features(size, rows[0].Length), batch);
            at += size;
        }
        Assert.AreEqual(rows.Length, at, "The batches are not all rows.");
        return state;
    }

    /// <summary>A test's name in which the layer is told by what is special about it.</summary>
    public static string Name(MethodInfo method, object[] data)
    {
        var layer = (BatchNormalizationOptions)data[0];
        string renorm = layer.Renorm is null ? "" : ", renorm";
        string groups = layer.VirtualBatchSize is null ? "" : ", virtual batches";
        return $"{method.Name} ({layer.MovingStatistics}, {layer.VarianceConvention} variance{renorm}{groups})";
    }

    public static IDataView Vectors(float[][] rows) => View.Vectors(View.Dense(rows), rows[0].Length);
}
