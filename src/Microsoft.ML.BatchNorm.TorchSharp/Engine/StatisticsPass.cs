using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Replaces moving statistics by exact ones, layer after layer: each layer's input is what the layers before it give in
/// inference mode with the statistics that they have just got. The values from which the layers behind it go on are
/// kept where they fit, so that the data goes through the network once; else each layer begins at the features again.
/// </summary>
/// <param name="module">The network.</param>
/// <param name="batches">Its data.</param>
/// <param name="network">Its definition.</param>
/// <param name="bytesKept">How many bytes of values are kept on the device between two layers.</param>
sealed class StatisticsPass(NetworkModule module, BatchSource batches, Network network, long bytesKept)
{
    readonly bool[] isNeeded = network.Values.LeadingTo(i => Moves(module.Layers[i]));

    public void Run(IReadOnlyCollection<int> rows)
    {
        using IDisposable noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        int size = ChunkRows.Of(network, rows.Count);
        int[] moving = [.. Enumerable.Range(0, module.Layers.Length).Where(i => Moves(module.Layers[i]))];
        ImmutableArray<int>[] open = [.. moving.Select(i => network.Values.OpenAt(i, reader => isNeeded[reader]))];
        long widest = open.Select(values => values.Sum(SizeOf))
            .Concat(network.Nodes.Select(node => (long)node.Output.Size)).Max();
        bool keeps = rows.Count * widest * sizeof(float) <= bytesKept;
        var known = new Dictionary<int, Tensor>?[(rows.Count + size - 1) / size];
        try
        {
            for (int i = 0; i < moving.Length; i++)
            {
                var layer = (BatchNormalizationModule)module.Layers[moving[i]];
                int done = keeps && i > 0 ? moving[i - 1] : 0;
                layer.Replace(Statistics(layer, rows.Chunk(size), known, keeps ? open[i] : [], done, moving[i]));
            }
        }
        finally
        {
            foreach (Dictionary<int, Tensor>? kept in known)
                Dispose(kept);
        }
    }

    BatchStatistics Statistics(
        BatchNormalizationModule layer, IEnumerable<int[]> chunks, Dictionary<int, Tensor>?[] known,
        ImmutableArray<int> open, int done, int at)
    {
        BatchStatistics? total = null;
        foreach ((int i, int[] chunk) in chunks.Index())
        {
            using var scope = torch.NewDisposeScope();
            var values = new Tensor?[at];
            Tensor? features = known[i] is null ? Features(chunk) : known[i]!.GetValueOrDefault(ValueGraph.Source);
            foreach ((int value, Tensor kept) in known[i] ?? [])
            {
                if (value >= 0)
                    values[value] = kept;
            }
            for (int before = done; before < at; before++)
            {
                if (isNeeded[before])
                    values[before] = module.ValueOf(before, features!, values);
            }
            int read = network.Nodes[at].Inputs[0];
            BatchStatistics statistics = layer.StatisticsOf(read < 0 ? features! : values[read]!);
            if (total is null)
                total = statistics;
            else
                total.Merge(statistics);
            if (open.IsEmpty)
                continue;
            var next = open.ToDictionary(
                value => value,
                value => Tensors.Keep((value < 0 ? features! : values[value]!).alias()));
            Dispose(known[i]);
            known[i] = next;
        }
        return total!;
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
