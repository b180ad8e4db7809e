using Microsoft.ML.BatchNorm.TorchSharp.Layers;

namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>
/// Replaces moving statistics by exact ones, layer after layer: each layer's input is what the layers before it give in
/// inference mode with the statistics that they have just got. What has come out so far is kept where it fits, so that
/// the data goes through the network once; else each layer begins at the features again.
/// </summary>
/// <param name="module">The network.</param>
/// <param name="batches">Its data.</param>
/// <param name="network">Its definition.</param>
/// <param name="bytesKept">How many bytes of outputs are kept on the device between two layers.</param>
sealed class StatisticsPass(NetworkModule module, BatchSource batches, Network network, long bytesKept)
{
    public void Run(IReadOnlyCollection<int> rows)
    {
        using IDisposable noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        int size = ChunkRows.Of(network, rows.Count);
        bool keeps = (long)rows.Count * network.Nodes.Max(node => node.Output.Size) * sizeof(float) <= bytesKept;
        var known = new Tensor?[(rows.Count + size - 1) / size];
        int done = 0;
        try
        {
            for (int at = 0; at < module.Layers.Length; at++)
            {
                if (module.Layers[at] is not BatchNormalizationModule { MovesStatistics: true } layer)
                    continue;
                layer.Replace(Statistics(layer, rows.Chunk(size), known, keeps, done, at));
                if (keeps)
                    done = at;
            }
        }
        finally
        {
            foreach (Tensor? kept in known)
                kept?.Dispose();
        }
    }

    BatchStatistics Statistics(
        BatchNormalizationModule layer, IEnumerable<int[]> chunks, Tensor?[] known, bool keeps, int done, int at)
    {
        BatchStatistics? total = null;
        foreach ((int i, int[] chunk) in chunks.Index())
        {
            using var scope = torch.NewDisposeScope();
            Tensor x = known[i] ?? Features(chunk);
            for (int before = done; before < at; before++)
                x = module.Layers[before].forward(x);
            BatchStatistics statistics = layer.StatisticsOf(x);
            if (total is null)
                total = statistics;
            else
                total.Merge(statistics);
            if (!keeps)
                continue;
            Tensor kept = Runtime.Tensors.Keep(x.alias());
            known[i]?.Dispose();
            known[i] = kept;
        }
        return total!;
    }

    Tensor Features(int[] rows)
    {
        batches.Check(rows);
        return batches.Take(rows).Features;
    }
}
