using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Tests.Build;

/// <summary>What offers values as a span offers them as an array, too, for code that cannot take a span.</summary>
[TestClass]
public class ArrayPropertyTests
{
    static readonly BatchNormalizationState state =
        new([1, 2], [4, 9], [0.5f, 0.25f], [3, 4], renorm: new RenormStatistics([5, 6], [7, 8], [9, 10]));

    /// <summary>
    /// The values of <see cref="BatchStatistics"/> and <see cref="ChannelHistograms"/> change, so that only a copy could
    /// be immutable.
    /// </summary>
    [TestMethod]
    public void Every_property_that_is_a_span_has_an_immutable_array_beside_it() => Assert.AreEqual(
        "",
        string.Join('\n', typeof(BatchNormalizationState).Assembly.GetExportedTypes()
            .Where(type => type != typeof(BatchStatistics) && type != typeof(ChannelHistograms))
            .SelectMany(type => type.GetProperties())
            .Where(property => IsOf(property.PropertyType, typeof(ReadOnlySpan<>)))
            .Where(property => property.DeclaringType!.GetProperty($"{property.Name}Array")?.PropertyType
                != typeof(ImmutableArray<>).MakeGenericType(property.PropertyType.GetGenericArguments()))
            .Select(property => $"{property.DeclaringType!.Name}.{property.Name}")));

    [TestMethod]
    public void The_array_has_the_span_s_memory()
    {
        AssertSame(state.MovingMean, state.MovingMeanArray);
        AssertSame(state.MovingVariance, state.MovingVarianceArray);
        AssertSame(state.Gamma, state.GammaArray);
        AssertSame(state.Beta, state.BetaArray);
        AssertSame(state.Renorm!.Mean, state.Renorm.MeanArray);
        AssertSame(state.Renorm.StandardDeviation, state.Renorm.StandardDeviationArray);
        AssertSame(state.Renorm.MovingStandardDeviation, state.Renorm.MovingStandardDeviationArray);
        var map = new AffineMap(BatchNormalizationOptions.Keras, state);
        AssertSame(map.Scale, map.ScaleArray);
        AssertSame(map.Shift, map.ShiftArray);
        CollectionAssert.AreEqual(map.Mean.ToArray(), map.MeanArray);
        LayerState dense = new([1, 2, 3], [4]);
        AssertSame(dense.Kernel, dense.KernelArray);
        AssertSame(dense.Bias, dense.BiasArray);
        AssertSame(dense.Get<float>("kernel"), dense.GetArray<float>("kernel"));
        var shape = new TensorShape(3, 4);
        AssertSame(shape.Dimensions, shape.DimensionsArray);
    }

    [TestMethod]
    public void What_a_layer_does_not_have_is_an_empty_array()
    {
        Assert.IsEmpty(new BatchNormalizationState([1], [1]).GammaArray);
        Assert.IsEmpty(new LayerState([1f]).BiasArray);
        Assert.ThrowsExactly<ArgumentException>(() => new LayerState([1f]).GetArray<float>("bias"));
    }

    [TestMethod]
    public async Task The_array_is_taken_by_LINQ_by_Join_by_lambdas_and_across_an_await()
    {
        ImmutableArray<double> mean = state.MovingMeanArray;
        await Task.Yield();
        Assert.AreEqual("1 2", string.Join(" ", mean));
        Assert.AreEqual(1.5, mean.Average());
        Assert.IsTrue(state.GammaArray.All(gamma => gamma < mean[0]));
    }

    static void AssertSame<T>(ReadOnlySpan<T> span, ImmutableArray<T> array)
    {
        Assert.AreEqual(span.Length, array.Length);
        Assert.IsTrue(Unsafe.AreSame(
            ref MemoryMarshal.GetReference(span), ref MemoryMarshal.GetReference(array.AsSpan())));
    }

    static bool IsOf(Type type, Type generic) => type.IsGenericType && type.GetGenericTypeDefinition() == generic;
}
