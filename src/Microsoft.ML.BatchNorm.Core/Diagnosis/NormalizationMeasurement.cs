using System.Collections;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Measures a network's batch normalizations on rows: the exact statistics of their inputs, what the choice of rows does
/// to them, and what each layer does to the outputs. Every pass takes a part of the rows at a time.
/// </summary>
sealed class NormalizationMeasurement : IDisposable
{
    /// <summary>
    /// The most rows in each of two halves that show the standard error, and the most whose outputs are compared.
    /// More would say little more, and outputs are computed once per layer.
    /// </summary>
    const int MostHalf = 1024, MostCompared = 1024;

    /// <summary>How often the rows are split in halves.</summary>
    const int Splits = 4;

    readonly Network network;
    readonly NetworkState state;
    readonly TrainingData data;
    readonly TrainingOptions training;
    readonly CancellationToken token;
    readonly TrainingSession session;

    /// <param name="network">The network. Its switches do not matter here: all moving statistics are measured.</param>
    /// <param name="state">Its parameters.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="loss">The loss to measure; null to look at no targets.</param>
    /// <param name="seed">The seed of every order of rows.</param>
    /// <param name="token">Checked before each part of the rows.</param>
    public NormalizationMeasurement(
        Network network, NetworkState state, TrainingData rows, Loss? loss, int seed, CancellationToken token)
    {
        (this.state, this.token) = (state, token);
        (data, loss) = loss is null ? WithoutTargets(network, rows) : (rows, loss);
        data.Inspect(token.ThrowIfCancellationRequested);
        training = new TrainingOptions { Loss = loss, Seed = seed };
        Tracked = [.. network.Nodes.Where(node => OptionsOf(node) is { TrackMovingStatistics: true })];
        this.network = Opened(network, Tracked, data.Rows);
        session = Start(this.network);
    }

    /// <summary>The batch normalizations that have moving statistics, in topological order.</summary>
    public IReadOnlyList<NetworkNode> Tracked { get; }

    public int Rows => data.Rows;

    public static BatchNormalizationOptions? OptionsOf(NetworkNode node) =>
        (node.Layer as BatchNormalizationLayer)?.Options;

    /// <summary>The exact statistics of all rows, layer after layer.</summary>
    public NetworkState Exact()
    {
        session.RecomputeStatistics(new WatchedRows(RowOrder.All(data.Rows), token));
        return session.GetState();
    }

    /// <summary>The exact statistics of what each layer gets while all are as they are served.</summary>
    public Dictionary<string, BatchStatistics> AsServed()
    {
        session.SetStatistics(state);
        return session.InputStatistics(new WatchedRows(RowOrder.All(data.Rows), token));
    }

    /// <summary>
    /// The displacement of each layer that the choice of rows gives: from random halves of the rows, or from as many
    /// rows as <see cref="MostHalf"/>. NaN for fewer than 4 rows.
    /// </summary>
    public double[] StandardErrors()
    {
        double[] errors = new double[Tracked.Count];
        int[] order = RowOrder.All(data.Rows);
        int half = Math.Min(data.Rows / 2, MostHalf);
        for (int split = 0; split < Splits; split++)
        {
            RowOrder.Shuffle(order, training.Seed, split);
            if (half < 2)
                return [.. errors.Select(_ => double.NaN)];
            NetworkState first = Of(order[..half]), second = Of(order[half..(2 * half)]);
            for (int i = 0; i < errors.Length; i++)
            {
                double distance = Displacement(Tracked[i], first, second);
                errors[i] += distance * distance / Splits;
            }
        }
        return Array.ConvertAll(errors, square => Math.Sqrt(square * half / 2 / data.Rows));

        NetworkState Of(int[] rows)
        {
            Array.Sort(rows);
            session.RecomputeStatistics(new WatchedRows(rows, token));
            return session.GetState();
        }
    }

    /// <summary>
    /// The statistics after one pass over the last rows in their order, in training mode, that begins with the exact
    /// ones: as many as the slowest of the averages remembers, if there are so many.
    /// </summary>
    public NetworkState Replay(NetworkState exact, int batchSize, double momentum)
    {
        session.SetStatistics(exact);
        long remembered = (long)Math.Ceiling(5 / (1 - momentum));
        var batches = new Batches(data.Rows, batchSize);
        for (long step = Math.Max(0, batches.Count - remembered); step < batches.Count; step++)
        {
            token.ThrowIfCancellationRequested();
            (int first, int count) = batches[step].GetOffsetAndLength(data.Rows);
            session.MoveStatistics([.. Enumerable.Range(first, count)]);
        }
        return session.GetState();
    }

    /// <summary>Loss and metric with the moving statistics of a state.</summary>
    public EvaluationResult Evaluate(NetworkState statistics)
    {
        session.SetStatistics(statistics);
        return new Evaluation(network, training).Of(session, new RowSet(data), check: token.ThrowIfCancellationRequested);
    }

    /// <summary>Loss and metric where each layer normalizes shuffled batches with their own statistics.</summary>
    public EvaluationResult? EvaluateBatches(int batchSize)
    {
        if (data.Rows < 2)
            return null;
        Network batchwise = network.WithBatchNormalization(
            options => options with { TrackMovingStatistics = false, Renorm = null }, PathsOf(Tracked));
        using TrainingSession own = Start(batchwise);
        var order = new EpochOrder(new RowSet(data), shuffles: true, training.Seed, epoch: 0);
        var batches = new Batches(data.Rows, batchSize);
        int outputs = network.OutputShape.Size;
        WeightedMean loss = default, metric = default;
        for (long step = 0; step < batches.Count; step++)
        {
            token.ThrowIfCancellationRequested();
            int[] rows = order[batches[step]].ToArray();
            float[] x = new float[rows.Length * data.FeaturesPerRow], y = new float[rows.Length * data.TargetsPerRow];
            float[] w = new float[data.HasWeights ? rows.Length : 0], predictions = new float[rows.Length * outputs];
            data.Read(rows, x, y, w);
            own.Predict(x, predictions);
            for (int i = 0; i < rows.Length; i++)
            {
                double weight = w.Length == 0 ? 1 : w[i];
                ReadOnlySpan<float> output = predictions.AsSpan(i * outputs, outputs);
                ReadOnlySpan<float> target = y.AsSpan(i * data.TargetsPerRow, data.TargetsPerRow);
                loss.Add(RowLoss.Of(training.Loss, output, target), weight);
                metric.Add(RowLoss.Metric(training.Loss, output, target), weight);
            }
        }
        return new EvaluationResult(loss.Value, metric.Value);
    }

    /// <summary>
    /// How the outputs change when the tracked layers get the exact statistics one after the other.
    /// </summary>
    /// <returns>
    /// The root mean square of the whole change, in standard deviations of the outputs under exact statistics; and each
    /// layer's share of it. Rows with an output that is not finite are left out; NaN if no row is left.
    /// </returns>
    public (double Change, double[] Shares) CompareOutputs(NetworkState exact)
    {
        int[] sample = RowOrder.All(data.Rows);
        RowOrder.Shuffle(sample, training.Seed, number: 0);
        sample = sample[..Math.Min(sample.Length, MostCompared)];
        Array.Sort(sample);
        NetworkState[] steps = new NetworkState[Tracked.Count + 1];
        steps[0] = state;
        for (int k = 0; k < Tracked.Count; k++)
            steps[k + 1] = steps[k].With(Tracked[k].Path, exact[Tracked[k].Path]);

        int outputs = network.OutputShape.Size;
        double[] shares = new double[Tracked.Count];
        var spread = new BatchStatistics(outputs);
        double whole = 0;
        long values = 0;
        foreach (RowPart part in RowPart.Of(data, sample, Math.Clamp((1 << 18) / (outputs * steps.Length), 1, 512)))
        {
            token.ThrowIfCancellationRequested();
            int rows = part.Rows.Length;
            float[][] given = [.. steps.Select(_ => new float[rows * outputs])];
            for (int k = 0; k < steps.Length; k++)
            {
                session.SetStatistics(steps[k]);
                session.Predict(part.Features, given[k]);
            }
            spread.Add(new ChannelLayout([rows, outputs]), given[^1], nonFinite: NonFinite.Ignore);
            for (int row = 0; row < rows; row++)
            {
                Range range = (row * outputs)..((row + 1) * outputs);
                if (given.Any(output => Finite.IndexOf<float>(output.AsSpan(range)) >= 0))
                    continue;
                for (int i = row * outputs; i < (row + 1) * outputs; i++)
                {
                    double difference = (double)given[^1][i] - given[0][i];
                    whole += difference * difference;
                    values++;
                    for (int k = 0; k < shares.Length; k++)
                        shares[k] += ((double)given[k + 1][i] - given[k][i]) * difference;
                }
            }
        }
        if (whole == 0)
            return (values == 0 ? double.NaN : 0, shares);
        double variance = 0;
        for (int i = 0; i < outputs; i++)
            variance += spread.Count[i] > 0 ? spread.Variance(i) / outputs : 0;
        return (Math.Sqrt(whole / values / variance), Array.ConvertAll(shares, share => share / whole));
    }

    public void Dispose() => session.Dispose();

    /// <summary>The displacement of a layer's outputs (<see cref="LayerDiagnosis.Displacement"/>).</summary>
    public static double Displacement(
        ReadOnlySpan<double> mean, ReadOnlySpan<double> variance, BatchNormalizationState exact, double epsilon)
    {
        double sum = 0;
        for (int c = 0; c < mean.Length; c++)
        {
            double shift = exact.MovingMean[c] - mean[c], measured = exact.MovingVariance[c];
            double scale = Inverse(variance[c]) - Inverse(measured);
            sum += shift == 0 ? 0 : shift * shift * Inverse(variance[c]) * Inverse(variance[c]);
            sum += scale == 0 || measured == 0 ? 0 : measured * scale * scale;
        }
        double result = Math.Sqrt(sum / mean.Length);
        return double.IsNaN(result) ? double.PositiveInfinity : result;

        // A layer multiplies by 0 where variance and ε are 0.
        double Inverse(double value) => value + epsilon > 0 ? 1 / Math.Sqrt(value + epsilon) : 0;
    }

    /// <summary>The displacement between the statistics that two states hold for a layer.</summary>
    public static double Displacement(NetworkNode node, NetworkState moving, NetworkState exact)
    {
        BatchNormalizationState held = moving[node.Path].BatchNormalization!;
        return Displacement(
            held.MovingMean, held.MovingVariance, exact[node.Path].BatchNormalization!,
            OptionsOf(node)!.EffectiveEpsilon);
    }

    public static string[] PathsOf(IEnumerable<NetworkNode> nodes) => [.. nodes.Select(node => node.Path)];

    /// <summary>
    /// The network with every tracked layer unfrozen, so that a session can replace its statistics, and without dropout,
    /// so that a pass in training mode shows what the rows and their order do.
    /// </summary>
    static Network Opened(Network network, IReadOnlyList<NetworkNode> tracked, int rows)
    {
        if (tracked.Count == 0)
            return network;
        string[] paths = PathsOf(tracked);
        // A channel with a single value has a population variance only.
        bool single = rows == 1;
        return network.With(node => node.Layer is DropoutLayer dropout ? dropout with { Rate = 0 } : node.Layer)
            .Unfreeze(paths).WithBatchNormalization(options => options with
            {
                UpdateStatistics = true,
                VarianceConvention = single ? VarianceConvention.Population : options.VarianceConvention,
            }, paths);
    }

    TrainingSession Start(Network started) =>
        (TrainingSession)new CpuEngine().Start(started, state, training, data);

    /// <summary>The rows with a target that some loss accepts.</summary>
    static (TrainingData Rows, Loss Loss) WithoutTargets(Network network, TrainingData rows) =>
        rows.TargetsPerRow == 1 ? (new TrainingData(rows, _ => 0), Loss.SoftmaxCrossEntropy)
        : rows.TargetsPerRow == network.OutputShape.Size ? (rows, Loss.MeanSquaredError)
        : throw new ArgumentException(
            $"A row has {rows.TargetsPerRow} targets; the network has {network.OutputShape.Size} outputs.",
            nameof(rows));

    /// <summary>Numbers of rows; reading on is canceled with a token.</summary>
    sealed class WatchedRows(int[] rows, CancellationToken token) : IReadOnlyCollection<int>
    {
        const int Part = 512;

        public int Count => rows.Length;

        public IEnumerator<int> GetEnumerator()
        {
            for (int i = 0; i < rows.Length; i++)
            {
                if (i % Part == 0)
                    token.ThrowIfCancellationRequested();
                yield return rows[i];
            }
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
