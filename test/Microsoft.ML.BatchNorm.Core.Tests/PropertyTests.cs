using FsCheck;
using FsCheck.Fluent;

namespace Microsoft.ML.BatchNorm.Tests;

/// <summary>What holds for every input, on generated ones.</summary>
[TestClass]
public sealed class PropertyTests
{
    static readonly Config Runs = Config.QuickThrowOnFailure.WithMaxTest(300);

    /// <summary>Rows of a few channels, of any size and offset from 1e-3 to 1e6.</summary>
    static readonly Arbitrary<Rows> AnyRows = (
        from channels in Gen.Choose(1, 20)
        from rows in Gen.Choose(2, 200)
        from seed in Gen.Choose(0, int.MaxValue)
        from offset in Gen.Elements(0, 1e-3, 1, -50, 1e4, 1e6)
        from deviation in Gen.Elements(1e-3, 1, 30, 1e3)
        select new Rows(channels, Sample.Doubles(channels * rows, seed, offset, deviation))).ToArbitrary();

    [TestMethod]
    public void Merge_is_associative_and_commutative_to_rounding() =>
        Prop.ForAll(AnyRows, AnyRows, AnyRows, (first, second, third) =>
        {
            BatchStatistics a = Of(first, 7), b = Of(second, 7), c = Of(third, 7);
            BatchStatistics left = Merge(Merge(a, b), c), right = Merge(a, Merge(b, c)), other = Merge(c, Merge(b, a));
            return Same(left, right) && Same(left, other);
        }).Check(Runs);

    [TestMethod]
    public void Normalization_is_invariant_to_a_positive_scaling_and_a_shift() =>
        Prop.ForAll(
            AnyRows,
            Gen.Elements(1e-3, 0.5, 3, 1e4).ToArbitrary(),
            Gen.Elements(0, 1e-2, -7, 1e5).ToArbitrary(),
            (rows, scale, shift) =>
            {
                double[] plain = Normalize(rows, rows.X);
                double[] moved = Normalize(rows, [.. rows.X.Select(value => scale * value + shift)]);
                double[] deviation = Deviations(rows);

                // What rounding x, scale·x + shift and the mean to a double can change, in deviations.
                return plain.Index().All(pair =>
                {
                    double spread = deviation[pair.Index % rows.Channels];
                    double size = rows.X.Max(Math.Abs) + Math.Abs(shift) / scale;
                    return Math.Abs(pair.Item - moved[pair.Index])
                        <= 1e-12 + 1e-14 * size / spread * (1 + Math.Abs(pair.Item));
                });
            }).Check(Runs);

    [TestMethod]
    public void Inference_equals_the_folded_map() =>
        Prop.ForAll(AnyRows, AnyRows, (fitted, rows) =>
        {
            BatchNormalizationOptions options = BatchNormalizationOptions.Keras;
            BatchNormalizationState state =
                Sample.State(options, fitted.Channels).WithPopulation(Of(fitted, fitted.Channels));
            int count = rows.X.Length / fitted.Channels;
            if (count == 0)
                return true;
            double[] x = rows.X[..(count * fitted.Channels)], y = new double[x.Length];
            var map = new AffineMap(options, state);
            BatchNormalization.Forward(
                options, state, ChannelLayout.Features(count, fitted.Channels), x, y, training: false);
            return x.Index().All(pair =>
            {
                int c = pair.Index % fitted.Channels;
                double folded = (pair.Item - map.Mean[c]) * map.Scale[c] + map.Shift[c];
                double direct = state.Gamma[c] * (pair.Item - state.MovingMean[c])
                    / Math.Sqrt(state.MovingVariance[c] + (options.Epsilon ?? 1e-3)) + state.Beta[c];
                double bound = 1e-14 * (1 + Math.Abs(folded) + Math.Abs(state.Beta[c]));
                return Math.Abs(folded - y[pair.Index]) <= bound && Math.Abs(direct - y[pair.Index]) <= bound;
            });
        }).Check(Runs);

    static BatchStatistics Of(Rows rows, int channels)
    {
        var statistics = new BatchStatistics(channels);
        int count = rows.X.Length / channels;
        if (count > 0)
            statistics.Add(ChannelLayout.Features(count, channels), rows.X.AsSpan(0, count * channels));
        return statistics;
    }

    static BatchStatistics Merge(BatchStatistics left, BatchStatistics right)
    {
        var merged = new BatchStatistics(left.Channels);
        merged.Merge(left);
        merged.Merge(right);
        return merged;
    }

    static bool Same(BatchStatistics left, BatchStatistics right)
    {
        for (int c = 0; c < left.Channels; c++)
        {
            double deviation = Math.Sqrt(left.Variance(c));
            if (left.Count[c] != right.Count[c]
                || Math.Abs(left.Mean[c] - right.Mean[c]) > 1e-14 * (Math.Abs(left.Mean[c]) + deviation)
                || Math.Abs(left.M2[c] - right.M2[c]) > 1e-14 * left.M2[c])
                return false;
        }
        return true;
    }

    static double[] Normalize(Rows rows, double[] x)
    {
        var options = new BatchNormalizationOptions { Epsilon = 0, Center = false, Scale = false };
        double[] y = new double[x.Length];
        BatchNormalization.Forward(
            options, BatchNormalization.Initialize(options, rows.Channels),
            ChannelLayout.Features(x.Length / rows.Channels, rows.Channels), x, y, training: true);
        return y;
    }

    static double[] Deviations(Rows rows)
    {
        BatchStatistics statistics = Of(rows, rows.Channels);
        return [.. Enumerable.Range(0, rows.Channels).Select(c => Math.Sqrt(statistics.Variance(c)))];
    }

    sealed record Rows(int Channels, double[] X);
}
