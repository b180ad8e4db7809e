namespace Microsoft.ML.BatchNorm;

/// <summary>Compares the channels of a state with those of new data.</summary>
/// <param name="state">The training side.</param>
/// <param name="statistics">The new values.</param>
/// <param name="squares">Their squared deviations from the training mean, or null.</param>
/// <param name="histograms">How they are distributed, on the grid of the state's histograms; or null.</param>
/// <param name="positions">How many values each channel has, missing ones included; null if that is not known.</param>
/// <param name="valuesPerRow">How many of them are in a row.</param>
sealed class ChannelComparison(
    BatchNormalizationState state, BatchStatistics statistics, BatchStatistics? squares,
    ChannelHistograms? histograms, double? positions, int valuesPerRow)
{
    const int TestsPerChannel = 4;

    readonly BatchStatistics? population = state.GetPopulation();

    /// <summary>
    /// Whether the smallest corrected p-value is at most a level. This is much cheaper than a report. Without the
    /// statistics of the squares it is only a bound: false means no, and true means perhaps.
    /// </summary>
    /// <param name="level">The level, at most 0.1.</param>
    public bool MayDrift(double level) => HasGreatStatistic(level) && (squares is null || HasSmallPValue(level));

    /// <summary>False if cheap bounds for the statistics show that no p-value can be small enough.</summary>
    bool HasGreatStatistic(double level)
    {
        int tests = 0;
        double greatest = 0;
        for (int c = 0; c < state.Channels; c++)
        {
            SampleMoments training = InRows(Training(c)), current = InRows(Current(c));
            if (!MeanTest.IsPossible(training, current))
                continue;
            tests++;
            greatest = Math.Max(greatest, Math.Max(
                MeanTest.GreatestSquare(training, current), VarianceTest.GreatestSquare(training, current)));
        }
        double least = tests > 0 ? NormalQuantile.Below(level / tests) : double.PositiveInfinity;
        return !(greatest < least * least);
    }

    bool HasSmallPValue(double level)
    {
        int made = 0;
        double least = 1, negligible = NormalQuantile.Below(level);
        for (int c = 0; c < state.Channels; c++)
        {
            (TestResult mean, TestResult variance) = Test(c, negligible);
            made += (mean.IsMade ? 1 : 0) + (variance.IsMade ? 1 : 0);
            least = Math.Min(least, Math.Min(mean.PValue, variance.PValue));
        }
        return made > 0 && made * least <= level;
    }

    /// <summary>All channels, the worst first.</summary>
    public ChannelDrift[] Run(IReadOnlyList<string>? names)
    {
        int channels = state.Channels;
        var tests = new TestResult[TestsPerChannel * channels];
        for (int c = 0; c < channels; c++)
        {
            (tests[c], tests[channels + c]) = Test(c, negligible: 0);
            (tests[2 * channels + c], tests[3 * channels + c]) = (Shape(c), Missing(c));
        }
        double[] adjusted = Array.ConvertAll(tests, test => test.PValue);
        HolmCorrection.Apply(adjusted, Array.ConvertAll(tests, test => test.IsMade));

        var drifts = new ChannelDrift[channels];
        for (int c = 0; c < channels; c++)
        {
            drifts[c] = Describe(
                c, tests[c], tests[channels + c], tests[2 * channels + c], tests[3 * channels + c].PValue) with
            {
                Name = names?[c],
                AdjustedPValue = Enumerable.Range(0, TestsPerChannel).Min(test => adjusted[test * channels + c]),
            };
        }
        Array.Sort(drifts, Severity);
        return drifts;
    }

    /// <summary>The most values that a channel has in training, missing ones included; infinite if not known.</summary>
    public double TrainingPositions => Enumerable.Range(0, state.Channels).Max(c =>
        state.Histograms is null ? Training(c).Count : MissingInTraining(c).All);

    static int Severity(ChannelDrift left, ChannelDrift right)
    {
        int order = left.AdjustedPValue.CompareTo(right.AdjustedPValue);
        if (order == 0)
            order = Smaller(left).CompareTo(Smaller(right));
        if (order == 0)
            order = right.Divergence.CompareTo(left.Divergence); // NaN is below every number, so the least severe.
        return order != 0 ? order : left.Channel.CompareTo(right.Channel);
    }

    static double Smaller(ChannelDrift channel) => Math.Min(
        Math.Min(channel.PValue, channel.VariancePValue), Math.Min(channel.ShapePValue, channel.MissingPValue));

    (TestResult Mean, TestResult Variance) Test(int channel, double negligible)
    {
        SampleMoments training = InRows(Training(channel)), current = InRows(Current(channel));
        // A variance that no double can hold is not known either, and there is no test of the variance.
        double squaresVariance = squares is null || !double.IsFinite(squares.M2[channel])
            ? double.NaN
            : VarianceOf(squares, channel);
        return (
            MeanTest.Of(training, current, negligible),
            VarianceTest.Of(training, current, squaresVariance, negligible));
    }

    TestResult Shape(int channel) => state.Histograms is { } training && histograms is { } current
        ? ShapeTest.Of(training, current, channel, valuesPerRow)
        : TestResult.None;

    TestResult Missing(int channel)
    {
        (double before, double all) = MissingInTraining(channel);
        (double now, double allNow) = MissingNow(channel);
        return double.IsNaN(before + now)
            ? TestResult.None
            : MissingTest.Of(before, all, now, allNow, valuesPerRow);
    }

    /// <summary>How many of how many values are missing; NaN where that is not known.</summary>
    (double Missing, double All) MissingInTraining(int channel) =>
        state.Histograms is { } training ? MissingIn(training, channel) : (double.NaN, double.NaN);

    (double Missing, double All) MissingNow(int channel) => histograms is not null ? MissingIn(histograms, channel)
        : positions is { } all ? (all - statistics.Count[channel], all)
        : (double.NaN, double.NaN);

    static (double Missing, double All) MissingIn(ChannelHistograms counted, int channel)
    {
        double missing = counted.CountsOf(channel)[ChannelHistograms.Missing];
        return (missing, missing + counted.FiniteCount(channel));
    }

    ChannelDrift Describe(
        int channel, TestResult mean, TestResult variance, TestResult shape, double missingPValue)
    {
        (double before, double all) = MissingInTraining(channel);
        (double now, double allNow) = MissingNow(channel);
        SampleMoments training = Training(channel), current = Current(channel);
        double shift = current.Mean - training.Mean, ratio = Ratio(current.Variance, training.Variance);
        double distance = shift == 0 ? 0 : Squared(training.Variance) + Squared(current.Variance);
        return new ChannelDrift
        {
            Channel = channel,
            TrainingCount = training.Count,
            TrainingMean = training.Mean,
            TrainingVariance = training.Variance,
            Count = current.Count,
            Mean = current.Mean,
            Variance = current.Variance,
            MeanShift = shift == 0 ? 0 : shift / Math.Sqrt(training.Variance),
            VarianceRatio = ratio,
            Divergence = (Excess(ratio) + distance) / 2,
            Statistic = mean.Statistic,
            PValue = mean.PValue,
            VarianceStatistic = variance.Statistic,
            VariancePValue = variance.PValue,
            ShapeStatistic = shape.Statistic,
            ShapePValue = shape.PValue,
            TrainingMissing = before / all,
            Missing = now / allNow,
            MissingPValue = missingPValue,
            AdjustedPValue = 1,
        };

        // A tiny variance has no reciprocal, and a tiny shift no square.
        double Squared(double variance) => Math.Pow(shift / Math.Sqrt(variance), 2);
    }

    static double Ratio(double variance, double training) => variance == training ? 1 : variance / training;

    /// <summary>r + 1/r − 2, without cancellation near 1.</summary>
    static double Excess(double ratio) =>
        double.IsInfinity(ratio) ? ratio : (ratio - 1) * (ratio - 1) / ratio;

    SampleMoments InRows(SampleMoments moments) => moments with { Count = moments.Count / valuesPerRow };

    SampleMoments Training(int channel) =>
        population is not null
            ? Of(population, channel)
            : new SampleMoments(double.PositiveInfinity, state.MovingMean[channel], state.MovingVariance[channel]);

    SampleMoments Current(int channel) => Of(statistics, channel);

    static SampleMoments Of(BatchStatistics statistics, int channel)
    {
        double count = statistics.Count[channel], mean = statistics.Mean[channel];
        return new SampleMoments(count, count > 0 ? mean : double.NaN, VarianceOf(statistics, channel));
    }

    static double VarianceOf(BatchStatistics statistics, int channel) =>
        statistics.Count[channel] > 1
            ? statistics.Variance(channel, VarianceConvention.Sample)
            : double.NaN;
}

/// <summary>
/// Corrects p-values for their number. If you reject those of at most α, the probability to reject any true hypothesis
/// is at most α, however the tests depend on each other (Holm, "A Simple Sequentially Rejective Multiple Test
/// Procedure", 1979).
/// </summary>
static class HolmCorrection
{
    /// <summary>Corrects the p-values of the tests that were made, in place.</summary>
    public static void Apply(Span<double> pValues, ReadOnlySpan<bool> made)
    {
        int[] order = new int[pValues.Length];
        int tests = 0;
        for (int i = 0; i < made.Length; i++)
        {
            if (made[i])
                order[tests++] = i;
        }
        double[] keys = new double[tests];
        for (int i = 0; i < tests; i++)
            keys[i] = pValues[order[i]];
        Array.Sort(keys, order, 0, tests);
        double least = 0;
        for (int i = 0; i < tests; i++)
        {
            least = Math.Max(least, Math.Min(1, (tests - i) * keys[i]));
            pValues[order[i]] = least;
        }
    }
}
