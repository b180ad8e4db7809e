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
    public void Run(int[] rows)
    {
        using IDisposable noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        int size = ChunkRows.Of(network, rows.Length);
        int[][] chunks = [.. rows.Chunk(size)];
        bool keeps = (long)rows.Length * network.Nodes.Max(node => node.Output.Size) * sizeof(float) <= bytesKept;
        var known = new Tensor?[chunks.Length];
        int done = 0;
        try
        {
            for (int at = 0; at < module.Layers.Length; at++)
            {
                if (module.Layers[at] is not BatchNormalizationModule { MovesStatistics: true } layer)
                    continue;
                layer.Replace(Statistics(layer, chunks, known, keeps, done, at));
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
        BatchNormalizationModule layer, int[][] chunks, Tensor?[] known, bool keeps, int done, int at)
    {
        BatchStatistics? total = null;
        for (int i = 0; i < chunks.Length; i++)
        {
            using var scope = torch.NewDisposeScope();
            Tensor x = known[i] ?? batches.Take(chunks[i]).Features;
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
}
