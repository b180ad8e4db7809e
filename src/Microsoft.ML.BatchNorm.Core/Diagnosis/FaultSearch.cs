using System.Globalization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Finds the fault of each batch normalization from what was measured and what is known. A displacement counts if it is
/// well above the standard error of the rows and large enough to matter; the bar is lower where the state, the options
/// or the training show a cause by themselves.
/// </summary>
/// <param name="layers">What was measured in each layer.</param>
/// <param name="known">What the caller knows of the training.</param>
/// <param name="areTrainingRows">Whether the rows are those of the training, so that there is no standard error.</param>
sealed class FaultSearch(IReadOnlyList<MeasuredLayer> layers, DiagnosisOptions known, bool areTrainingRows)
{
    /// <summary>The initializer's share from which on inference is visibly biased towards it.</summary>
    const double VisibleShare = 0.05;

    /// <summary>
    /// With a cause by itself: the least displacement, in deviations, and in standard errors. A tenth of a deviation is
    /// what 150 independent rows have by chance.
    /// </summary>
    const double LeastKnown = 0.1, ErrorsKnown = 3;

    /// <summary>The same without one. Averages over a hundred batches lag behind the weights by up to that.</summary>
    const double Least = 0.25, Errors = 4;

    /// <summary>Batches with fewer values per channel have variances with a standard error above a half.</summary>
    const int FewValues = 8;

    /// <summary>
    /// An average with a lower momentum remembers fewer than nine batches, one with a greater momentum than the second
    /// more than 400.
    /// </summary>
    const double Fast = 0.8, Slow = 0.995;

    /// <summary>Rows whose channels all have deviations so many times larger or smaller come on another scale.</summary>
    const double OtherScale = 10;

    /// <summary>The fault of each layer, with its sentence.</summary>
    /// <param name="exact">The exact statistics of the training rows, or of the rows if those are not known.</param>
    /// <param name="replay">
    /// Gives the statistics that an unshuffled pass over the training rows leaves, for layers with that momentum and for
    /// a batch size.
    /// </param>
    /// <param name="withEpsilon">Gives the displacements of all layers with another ε.</param>
    public (NormalizationFault Fault, string Finding)[] Run(
        NetworkState exact, Func<double, int, NetworkState> replay, Func<double, double[]?> withEpsilon)
    {
        var found = new (NormalizationFault Fault, string Finding)[layers.Count];
        for (int i = 0; i < layers.Count; i++)
            found[i] = Known(layers[i]);
        FindOrder(found, exact, replay);
        FindScale(found);
        FindEpsilon(found, withEpsilon);
        for (int i = 0; i < layers.Count; i++)
        {
            if (found[i].Fault == NormalizationFault.None)
                found[i] = Other(layers[i]);
        }
        return found;
    }

    /// <summary>The causes that state, options or training show by themselves.</summary>
    (NormalizationFault Fault, string Finding) Known(MeasuredLayer layer)
    {
        BatchNormalizationOptions options = layer.Options;
        int? size = options.VirtualBatchSize ?? known.TrainingBatchSize;
        bool isOff = IsOff(layer, LeastKnown, ErrorsKnown), fitsTraining = FitsTraining(layer);
        if (isOff && !fitsTraining && layer.IsInitializer && !layer.Moves)
            return (NormalizationFault.Frozen,
                "It is frozen with the initializer's mean and variance, which no row has ever moved. Unfreeze it and "
                + "train, or recompute its statistics.");
        if (isOff && !fitsTraining && (layer.IsInitializer || layer.State.InitialWeight > VisibleShare))
            return (NormalizationFault.Initializer, layer.IsInitializer
                ? "Its mean and variance are still the initializer's: no batch has moved them. Recompute the statistics "
                    + "on the training rows."
                : $"{Percent(layer.State.InitialWeight)} of its statistics are still the initializer's, after "
                    + $"{Html.Count(layer.State.BatchesSeen)} {(layer.State.BatchesSeen == 1 ? "batch" : "batches")} "
                    + $"with a momentum of {Number(options.EffectiveMomentum)}. Recompute the statistics on the training "
                    + $"rows, or train with a lower momentum or for more steps.");
        if (isOff && !layer.Moves)
            return fitsTraining
                ? OtherRows(layer)
                : (NormalizationFault.Frozen,
                    "It is frozen, and its statistics are those of other rows or of other weights before it. Unfreeze it "
                    + "and train, or recompute its statistics on the training rows"
                    + (layer.InTraining is null
                        ? "; if they fit the training rows (TrainingRows tells), these rows come from elsewhere."
                        : "."));
        if (layer.Moves && size is { } rows && rows * (long)layer.ValuesPerRow < FewValues)
            return (NormalizationFault.SmallBatches,
                $"Its {(options.VirtualBatchSize is null ? "" : "virtual ")}batches of {rows} rows have "
                + $"{rows * layer.ValuesPerRow} values per channel, whose variance has a standard error of "
                + $"{Percent(Math.Sqrt(2.0 / Math.Max(1, rows * layer.ValuesPerRow - 1)))}, so training has seen "
                + "other values than inference. Train with larger batches, or freeze the layer.");
        if (!isOff || !layer.IsAverage || fitsTraining)
            return default;
        if (options.EffectiveMomentum <= Fast)
            return (NormalizationFault.FastMomentum,
                $"A momentum of {Number(options.EffectiveMomentum)} keeps about "
                + $"{Number(Remembered(options.EffectiveMomentum))} batches, so its statistics are those of the last few "
                + "batches. "
                + (options.EffectiveMomentum is > 0 and <= 0.2
                    ? $"If that is PyTorch's momentum, write {Number(1 - options.EffectiveMomentum)}: here, as in Keras, "
                        + "it is the share that stays. "
                    : "")
                + "Recompute the statistics on the training rows, and train with a greater momentum.");
        if (size is null && options.EffectiveMomentum < Slow && SmallBatch(layer) is { } likely)
            return (NormalizationFault.SmallBatches,
                $"The moving variances of all channels are about {Number(layer.VarianceRatio)} times the exact ones, as "
                + $"batches of {likely} rows give. Train with larger batches, or freeze the layer.");
        return default;
    }

    /// <summary>
    /// The statistics point from the exact ones to where an unshuffled pass over the training rows leaves them.
    /// </summary>
    void FindOrder(
        (NormalizationFault Fault, string Finding)[] found, NetworkState exact, Func<double, int, NetworkState> replay)
    {
        // If the batch size of the training is not known, small and usual ones are tried.
        int[] batchSizes = known.TrainingBatchSize is { } size ? [size] : [8, known.BatchSize];
        foreach (IGrouping<double, int> group in Open(found).Where(i => layers[i].IsAverage && !FitsTraining(layers[i])
            && IsOff(layers[i], LeastKnown, ErrorsKnown)).ToArray().GroupBy(i => layers[i].Options.EffectiveMomentum))
        {
            if (group.Key >= 1 || !batchSizes.Any(batchSize => Leads(group, batchSize, exact, replay(group.Key, batchSize))))
                continue;
            foreach (int i in group)
                found[i] = (NormalizationFault.RowOrder,
                    "Its statistics are those of the last rows in their order: one pass over the training rows without "
                    + "shuffling leaves the same. Shuffle the rows (TrainingOptions.Shuffle), and recompute the "
                    + "statistics.");
        }
    }

    /// <summary>Whether the statistics of layers point from the exact ones to those that a pass has left.</summary>
    bool Leads(IGrouping<double, int> group, int batchSize, NetworkState exact, NetworkState replayed)
    {
        // If the size of the batches is not known, they may be small, which is why all variances may be low.
        bool isEven = known.TrainingBatchSize is null;
        double product = 0, held = 0, given = 0;
        foreach (int i in group)
        {
            MeasuredLayer layer = layers[i];
            BatchNormalizationState ordered = replayed[layer.Node.Path].BatchNormalization!;
            BatchNormalizationState from = exact[layer.Node.Path].BatchNormalization!;
            double[] mine = layer.Offsets(from, layer.State, isEven), theirs = layer.Offsets(from, ordered, isEven);
            for (int k = 0; k < mine.Length; k++)
            {
                product += mine[k] * theirs[k] / mine.Length;
                held += mine[k] * mine[k] / mine.Length;
                given += theirs[k] * theirs[k] / mine.Length;
            }
        }
        // Two random directions in many channels have a cosine near 0, and an average over shuffled batches has a
        // square error of 1/(the rows that it remembers).
        double chance = group.Count() / (batchSize * Remembered(group.Key));
        return product / Math.Sqrt(held * given) > 0.7 && given > 2 * chance;
    }

    /// <summary>
    /// All channels of a layer that only linear layers precede have another scale. What follows is then the doing of ε.
    /// </summary>
    void FindScale((NormalizationFault Fault, string Finding)[] found)
    {
        int[] open = [.. Open(found).Where(i => IsOff(layers[i], Least, Errors)
            && (layers[i].InTraining is null || FitsTraining(layers[i])))];
        if (open.Select(i => Uniform(layers[i])).FirstOrDefault(
            factor => factor is >= OtherScale or <= 1 / OtherScale) is not { } factor)
            return;
        foreach (int i in open)
            found[i] = (NormalizationFault.InputScale,
                $"The deviations of all channels are about {Number(factor)} times those of the statistics"
                + (factor is > 200 and < 320 or > 1 / 320.0 and < 1 / 200.0
                    ? ", as of pixels to 255 instead of 1, or the other way round" : "")
                + ". Give the rows the scale of the training; only if that is not possible, recompute the statistics.");
    }

    /// <summary>Another usual ε makes the statistics fit.</summary>
    void FindEpsilon((NormalizationFault Fault, string Finding)[] found, Func<double, double[]?> withEpsilon)
    {
        int[] open = [.. Open(found).Where(i => IsOff(layers[i], Least, Errors) && !FitsTraining(layers[i]))];
        if (open.Length == 0)
            return;
        double now = open.Sum(i => Square(layers[i].InTraining ?? layers[i].Displacement));
        foreach (double epsilon in (double[])[1e-3, 1e-5])
        {
            if (layers.All(layer => layer.Options.EffectiveEpsilon == epsilon)
                || withEpsilon(epsilon) is not { } displacements
                || !(open.Sum(i => Square(displacements[i])) < now / 4))
                continue;
            foreach (int i in open)
                found[i] = (NormalizationFault.Epsilon,
                    $"Its statistics fit if ε is {Number(epsilon)} instead of "
                    + $"{Number(layers[i].Options.EffectiveEpsilon)}. Set Epsilon = {Number(epsilon)} with "
                    + "WithBatchNormalization.");
            return;
        }
    }

    /// <summary>What is left if the statistics do not fit, and no other cause was found.</summary>
    (NormalizationFault Fault, string Finding) Other(MeasuredLayer layer)
    {
        bool isAverage = layer.IsAverage, fitsTraining = FitsTraining(layer);
        double momentum = layer.Options.EffectiveMomentum;
        if (isAverage && momentum >= Slow && !fitsTraining && IsOff(layer, LeastKnown, ErrorsKnown))
            return (NormalizationFault.SlowMomentum,
                $"A momentum of {Number(momentum)} keeps about {Number(Remembered(momentum))} batches, so its statistics "
                + "are those of earlier weights. Recompute the statistics on the training rows, or train with a lower "
                + "momentum"
                + (layer.InTraining is null
                    ? "; if they fit the training rows (TrainingRows tells), these rows come from elsewhere."
                    : "."));
        bool hasDropoutVariance = layer is { ReadsDropout: true, IsAverage: true }
            && 1 - 1 / Math.Sqrt(layer.VarianceRatio) > layer.Displacement / 2;
        if (!IsOff(layer, hasDropoutVariance ? LeastKnown : Least, hasDropoutVariance ? ErrorsKnown : Errors))
            return default;
        if (fitsTraining || layer.IsExact && layer.InTraining is null)
            return OtherRows(layer);
        if (hasDropoutVariance)
            return (NormalizationFault.Dropout,
                $"Dropout or random changes before it make its moving variances about {Number(layer.VarianceRatio)} "
                + "times those of inference. Recompute the statistics, or move the dropout behind the layer.");
        if (layer is { InTraining: not null, IsAverage: true } && known.TrainingBatchSize is null)
            return (NormalizationFault.Unexplained,
                "Its statistics do not fit the rows that it was trained on: either the batches were small, or the "
                + "weights have moved faster than the averages; TrainingBatchSize tells. Recompute the statistics on the "
                + "training rows.");
        return layer.InTraining is not null
            ? (NormalizationFault.SlowMomentum,
                "Its statistics do not fit the rows that it was trained on: the weights have moved faster than the "
                + "averages. Recompute the statistics on the training rows, or train with "
                + (layer.Options.EffectiveMovingStatistics == MovingStatistics.Exponential
                    ? "a lower momentum."
                    : "an average that forgets (MovingStatistics.Exponential)."))
            : (NormalizationFault.Unexplained,
                "Either these rows come from elsewhere than those of the training, or the averages lag behind the "
                + "weights; TrainingRows tells. Recompute the statistics: on these rows in the first case, on the "
                + "training rows in the second.");
    }

    static (NormalizationFault Fault, string Finding) OtherRows(MeasuredLayer layer) =>
        (NormalizationFault.OtherRows,
            (layer.InTraining is not null ? "Its statistics fit the training rows and not these"
                : $"Its statistics are exact ones of {Html.Count((long)layer.TrainingCount)} other values per channel")
            + (layer.Options.Trainable ? "" : ", and it is frozen")
            + (Uniform(layer) is { } factor
                ? $"; the deviations of all channels are about {Number(factor)} times as large"
                : "")
            + ": these rows come from elsewhere, or are prepared in another way. Recompute the statistics on them, "
            + "which needs no labels, or fine-tune.");

    IEnumerable<int> Open((NormalizationFault Fault, string Finding)[] found) =>
        Enumerable.Range(0, layers.Count).Where(i => found[i].Fault == NormalizationFault.None);

    /// <summary>
    /// A displacement that would be a fault, if the choice of the rows could not explain it; null for any other.
    /// </summary>
    public static string? Doubt(MeasuredLayer layer) => layer.Displacement > Least
        ? $"a displacement of {Html.Number(layer.Displacement)} may be the doing of these rows alone, whose choice "
            + $"gives {Html.Number(layer.StandardError)}. More rows tell."
        : null;

    /// <summary>
    /// Whether the displacement is at least so large, and so many standard errors. The statistics themselves are also
    /// those of a sample, if their count is known. Too few rows show only what the state says anyway.
    /// </summary>
    bool IsOff(MeasuredLayer layer, double least, double errors)
    {
        double error = areTrainingRows ? 0 : layer.StandardError * Math.Sqrt(1 + layer.Count / layer.TrainingCount);
        return double.IsNaN(error)
            ? layer.State.InitialWeight > VisibleShare
            : layer.Displacement > Math.Max(least, errors * error);
    }

    bool FitsTraining(MeasuredLayer layer) =>
        !areTrainingRows && layer.InTraining < Math.Max(LeastKnown, layer.Displacement / 3);

    /// <summary>The rows per batch that a variance of (B − 1)/B suggests, if all channels agree and means fit.</summary>
    static int? SmallBatch(MeasuredLayer layer) =>
        layer is { IsFirst: true, ValuesPerRow: 1, MeanShift: < Least }
        && layer.Options.EffectiveVarianceConvention == VarianceConvention.Population
        && layer.VarianceRatio is > 0.4 and < 0.82 && layer.RatioSpread < 0.3
            ? (int)Math.Round(1 / (1 - layer.VarianceRatio))
            : null;

    /// <summary>The factor between the deviations of the rows and those of the statistics, if all channels agree.</summary>
    static double? Uniform(MeasuredLayer layer)
    {
        if (!layer.ReadsLinear)
            return null;
        double[] ratios = [.. layer.VarianceLogarithms.Order()];
        if (ratios.Length == 0)
            return null;
        double median = ratios[ratios.Length / 2];
        double spread = ratios[ratios.Length * 3 / 4] - ratios[ratios.Length / 4];
        double factor = Math.Exp(-median / 2);
        return spread < 0.3 * Math.Max(1, Math.Abs(median)) && factor is (> 1.25 or < 0.8) ? factor : null;
    }

    /// <summary>The number of batches whose plain average would be as noisy.</summary>
    static double Remembered(double momentum) => (1 + momentum) / (1 - momentum);

    static double Square(double value) => value * value;

    static string Number(double value) => value.ToString("0.###", CultureInfo.InvariantCulture) is var text
        && (text is "0" && value != 0) ? value.ToString("0.##e0", CultureInfo.InvariantCulture) : text;

    static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:0.#} %");
}

/// <summary>What was measured in one batch normalization.</summary>
sealed record MeasuredLayer(NetworkNode Node, BatchNormalizationState State, BatchNormalizationState Exact)
{
    public BatchNormalizationOptions Options { get; } = NormalizationMeasurement.OptionsOf(Node)!;

    public required double Displacement { get; init; }

    public required double AsServed { get; init; }

    public required double StandardError { get; init; }

    public required double? InTraining { get; init; }

    /// <summary>Whether no other batch normalization comes before it.</summary>
    public required bool IsFirst { get; init; }

    /// <summary>Whether only linear layers come before it.</summary>
    public required bool ReadsLinear { get; init; }

    /// <summary>Whether dropout or a random change of images comes before it.</summary>
    public required bool ReadsDropout { get; init; }

    public bool Moves => Node.MovesStatistics;

    /// <summary>Whether a layer with parameters comes before it, whose outputs a training changes.</summary>
    public required bool ReadsWeights { get; init; }

    /// <summary>Whether the statistics are an exponential average of batches.</summary>
    public bool IsAverage => State.Population is null
        && Options.EffectiveMovingStatistics == MovingStatistics.Exponential;

    /// <summary>
    /// Whether the statistics are those of rows. Those that a training merges behind weights that move are not.
    /// </summary>
    public bool IsExact => State.Population is not null
        && !(ReadsWeights && Options.EffectiveMovingStatistics == MovingStatistics.Population);

    /// <summary>Whether mean and variance are 0 and 1 in all channels, or no batch has moved them.</summary>
    public bool IsInitializer => State.InitialWeight == 1
        || !State.MovingMean.ContainsAnyExcept(0) && !State.MovingVariance.ContainsAnyExcept(1);

    public int ValuesPerRow => Node.Input.Size / State.Channels;

    /// <summary>The most values per channel that the exact statistics of the rows are of.</summary>
    public double Count => MostOf(Exact.Population!);

    /// <summary>The most values per channel that the moving statistics are of; infinite if that is not known.</summary>
    public double TrainingCount => State.Population is { } population && MostOf(population) is > 0 and var count
        ? count
        : double.PositiveInfinity;

    /// <summary>The number of channels of which the rows have no value.</summary>
    public int EmptyChannels => Exact.Population!.Count.Count(0);

    /// <summary>The root mean square of (m − μ)/√(σ² + ε).</summary>
    public double MeanShift { get; } = RootMeanSquare(MeansOf(Node, State, Exact));

    /// <summary>The geometric mean of (v + ε)/(σ² + ε).</summary>
    public double VarianceRatio { get; } = Math.Exp(RatiosOf(Node, State, Exact).Average());

    /// <summary>ln(v/σ²) of the channels in which both are positive.</summary>
    public IEnumerable<double> VarianceLogarithms
    {
        get
        {
            for (int c = 0; c < State.Channels; c++)
            {
                if (State.MovingVariance[c] > 0 && Exact.MovingVariance[c] > 0)
                    yield return Math.Log(State.MovingVariance[c] / Exact.MovingVariance[c]);
            }
        }
    }

    /// <summary>The standard deviation over the channels of ln((v + ε)/(σ² + ε)).</summary>
    public double RatioSpread { get; } = Deviation(RatiosOf(Node, State, Exact));

    public int ConstantChannels
    {
        get
        {
            int constant = 0;
            for (int c = 0; c < State.Channels; c++)
            {
                double mean = Exact.MovingMean[c];
                if (Exact.MovingVariance[c] <= 1e-6 * Math.Max(Options.EffectiveEpsilon, mean * mean))
                    constant++;
            }
            return constant;
        }
    }

    /// <summary>How far statistics are from exact ones, per channel: shifts of means, halved logarithms of ratios.</summary>
    /// <param name="exact">The exact statistics.</param>
    /// <param name="statistics">The statistics.</param>
    /// <param name="isEven">Whether to leave out the ratio that all channels have in common.</param>
    public double[] Offsets(BatchNormalizationState exact, BatchNormalizationState statistics, bool isEven)
    {
        double[] ratios = RatiosOf(Node, statistics, exact);
        double common = isEven ? ratios.Average() : 0;
        return [.. MeansOf(Node, statistics, exact), .. ratios.Select(ratio => (ratio - common) / 2)];
    }

    static double[] MeansOf(NetworkNode node, BatchNormalizationState moving, BatchNormalizationState exact)
    {
        double epsilon = NormalizationMeasurement.OptionsOf(node)!.EffectiveEpsilon;
        double[] shifts = new double[moving.Channels];
        for (int c = 0; c < shifts.Length; c++)
        {
            double shift = moving.MovingMean[c] - exact.MovingMean[c];
            shifts[c] = shift == 0 ? 0 : shift / Math.Sqrt(exact.MovingVariance[c] + epsilon);
        }
        return shifts;
    }

    static double[] RatiosOf(NetworkNode node, BatchNormalizationState moving, BatchNormalizationState exact)
    {
        double epsilon = NormalizationMeasurement.OptionsOf(node)!.EffectiveEpsilon;
        double[] ratios = new double[moving.Channels];
        for (int c = 0; c < ratios.Length; c++)
        {
            double held = moving.MovingVariance[c], measured = exact.MovingVariance[c];
            ratios[c] = held == measured ? 0 : Math.Log((held + epsilon) / (measured + epsilon));
        }
        return ratios;
    }

    static double MostOf(PopulationMoments population) => population.Count.ToArray().Max();

    static double RootMeanSquare(double[] values) => Math.Sqrt(values.Average(value => value * value));

    static double Deviation(double[] values)
    {
        double mean = values.Average();
        return Math.Sqrt(values.Average(value => (value - mean) * (value - mean)));
    }
}
