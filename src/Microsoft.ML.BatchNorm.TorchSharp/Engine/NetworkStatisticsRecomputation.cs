using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Replaces the moving statistics of a network by exact ones, layer after layer. Each layer gets the statistics of its
/// input in inference mode, computed after the layers before it have got theirs.
/// </summary>
/// <remarks>
/// If they fit, the values from which the next layers can be computed stay on the device, and the data goes through the
/// network once. If not, each layer's input is computed from the features again.
/// </remarks>
/// <param name="module">The network as a module.</param>
/// <param name="batches">The training data.</param>
/// <param name="network">The definition of the network.</param>
/// <param name="bytesKept">How many bytes of values may stay on the device between two layers.</param>
/// <param name="ranks">The ranks that have the rows; null for one.</param>
/// <param name="failure">If this rank's rows cannot be used, why; then it gives the others no statistics.</param>
sealed class NetworkStatisticsRecomputation(
    NetworkModule module, BatchLoader batches, Network network, long bytesKept, ICollective? ranks, Exception? failure)
{
    readonly bool[] isNeeded = network.Values.LeadingTo(i => Moves(module.Layers[i]));

    public void Run(IReadOnlyCollection<int> rows)
    {
        using IDisposable noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        int chunkRows = module.ChunkRows(rows.Count);
        int[] moving = [.. Enumerable.Range(0, module.Layers.Length).Where(i => Moves(module.Layers[i]))];
        ImmutableArray<int>[] open = [.. moving.Select(i => network.Values.OpenAt(i, reader => isNeeded[reader]))];
        long widest = open.Select(values => values.Sum(SizeOf))
            .Concat(network.Nodes.Select(node => (long)node.Output.Size)).Max();
        bool keeps = rows.Count * widest * sizeof(float) <= bytesKept;
        var kept = new Dictionary<int, Tensor>?[(rows.Count + chunkRows - 1) / chunkRows];
        try
        {
            for (int i = 0; i < moving.Length; i++)
            {
                var layer = (BatchNormalizationModule)module.Layers[moving[i]];
                int first = keeps && i > 0 ? moving[i - 1] : 0;
                layer.SetStatistics(OfAll(layer, () => InputStatistics(
                    layer, rows.Chunk(chunkRows), kept, keeps ? open[i] : [], first, moving[i])));
            }
        }
        finally
        {
            Array.ForEach(kept, Dispose);
        }
    }

    /// <summary>Merges the statistics of all ranks. An error of one rank is thrown on all. One message.</summary>
    BatchStatistics OfAll(BatchNormalizationModule layer, Func<BatchStatistics> statistics)
    {
        if (ranks is null)
            return statistics();
        var mine = new BatchStatistics(layer.Channels);
        Exception? error = failure;
        try
        {
            mine = error is null ? statistics() : mine;
        }
        catch (Exception exception)
        {
            error = exception;
        }
        var all = new BatchStatistics(layer.Channels);
        double[] kinds = all.MergeOfAll(ranks, mine, (double)RankError.KindOf(error));
        int failed = Array.FindIndex(kinds, kind => kind != 0);
        if (failed >= 0)
            ranks.Throw(error, failed, (RankErrorKind)kinds[failed]);
        return all;
    }

    /// <summary>The exact statistics of a layer's input.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="chunks">The rows, chunk by chunk.</param>
    /// <param name="kept">
    /// Per chunk, the values that are on the device, by their numbers in <see cref="ValueGraph"/>. They are replaced by
    /// those that <paramref name="open"/> names.
    /// </param>
    /// <param name="open">The values that stay on the device for the next layers.</param>
    /// <param name="first">The first layer to run. The values that it and later layers read are kept.</param>
    /// <param name="index">The index of <paramref name="layer"/>.</param>
    BatchStatistics InputStatistics(
        BatchNormalizationModule layer, IEnumerable<int[]> chunks, Dictionary<int, Tensor>?[] kept,
        ImmutableArray<int> open, int first, int index)
    {
        var total = new BatchStatistics(layer.Channels);
        foreach ((int i, int[] chunk) in chunks.Index())
        {
            using var scope = torch.NewDisposeScope();
            var values = new Tensor?[index];
            Tensor? features = kept[i] is null ? Features(chunk) : kept[i]!.GetValueOrDefault(ValueGraph.Source);
            foreach ((int value, Tensor tensor) in kept[i] ?? [])
            {
                if (value >= 0)
                    values[value] = tensor;
            }
            for (int before = first; before < index; before++)
            {
                if (isNeeded[before])
                    values[before] = module.ValueOf(before, features!, values);
            }
            int read = network.Nodes[index].Inputs[0];
            BatchStatistics statistics = layer.StatisticsOf(read < 0 ? features! : values[read]!);
            total.Merge(statistics);
            if (open.IsEmpty)
                continue;
            var next = open.ToDictionary(
                value => value,
                value => Tensors.Keep((value < 0 ? features! : values[value]!).alias()));
            Dispose(kept[i]);
            kept[i] = next;
        }
        return total;
    }

    static bool Moves(LayerModule layer) => layer is BatchNormalizationModule { MovesStatistics: true };

    long SizeOf(int value) => value < 0 ? network.InputShape.Size : network.Nodes[value].Output.Size;

    static void Dispose(Dictionary<int, Tensor>? values)
    {
        foreach (Tensor value in values?.Values.ToArray() ?? [])
            value.Dispose();
    }

    Tensor Features(int[] rows)
    {
        batches.Check(rows);
        return batches.Take(rows).Features;
    }
}
