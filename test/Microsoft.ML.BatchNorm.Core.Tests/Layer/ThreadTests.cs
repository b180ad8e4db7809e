namespace Microsoft.ML.BatchNorm.Tests.Layer;

[TestClass]
public sealed class ThreadTests
{
    static IEnumerable<object[]> Shapes =>
    [
        [new[] { 50_000, 16 }, 1], [new[] { 200_001, 5 }, 1], [new[] { 9_000, 100 }, 1], [new[] { 300, 5_000 }, 1],
        [new[] { 16, 24, 56, 56 }, 1], [new[] { 3_000, 20, 20 }, 1], [new[] { 20, 30, 40, 24 }, 3],
    ];

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void One_two_and_eight_threads_give_the_same_bits(int[] shape, int axis)
    {
        var options = BatchNormalizationOptions.Keras with { Axis = axis };
        var layout = new ChannelLayout(shape, axis);
        float[] x = Sample.Floats(layout.Count, 1, 10, 3), dy = Sample.Floats(layout.Count, 2);
        bool[] mask = Sample.Mask(layout.Positions, 3);
        BatchNormalizationState state = Sample.State(options, layout.Channels);
        Result one = Run(1);
        foreach (int threads in new[] { 2, 8 })
        {
            Result many = Run(threads);
            Assert.AreEqual(one.State, many.State, $"{threads} threads, state");
            Assert.AreEqual(one.Masked, many.Masked, $"{threads} threads, state under a mask");
            Agreement.SameBits<float>(one.Y, many.Y, $"{threads} threads, y");
            Agreement.SameBits<float>(one.Dx, many.Dx, $"{threads} threads, dx");
            Agreement.SameBits<float>(one.DGamma, many.DGamma, $"{threads} threads, dgamma");
            Agreement.SameBits<float>(one.DBeta, many.DBeta, $"{threads} threads, dbeta");
        }

        Result Run(int threads)
        {
            float[] y = new float[x.Length], dx = new float[x.Length];
            float[] dGamma = new float[layout.Channels], dBeta = new float[layout.Channels];
            ForwardPass pass = BatchNormalization.Forward(
                options, state, layout, x, y, training: true, threads: threads);
            BatchNormalization.Backward(pass, x, dy, dx, dGamma, dBeta, threads);
            BatchNormalizationState masked =
                BatchNormalization.UpdateMovingStatistics(options, state, layout, x, mask, threads);
            return new Result(pass.NextState, masked, y, dx, dGamma, dBeta);
        }
    }

    [TestMethod]
    public void A_map_is_applied_from_many_threads_at_once()
    {
        var options = BatchNormalizationOptions.Keras;
        var map = new AffineMap(options, Sample.State(options, 37));
        double[] x = Sample.Doubles(37, 1), expected = new double[37];
        new AffineMap(options, Sample.State(options, 37)).Apply(x, expected);
        Parallel.For(0, 10_000, new ParallelOptions { MaxDegreeOfParallelism = 16 }, _ =>
        {
            double[] y = new double[37];
            map.Apply(x, y);
            Agreement.SameBits<double>(expected, y);
        });
    }

    sealed record Result(
        BatchNormalizationState State, BatchNormalizationState Masked, float[] Y, float[] Dx, float[] DGamma,
        float[] DBeta);
}
