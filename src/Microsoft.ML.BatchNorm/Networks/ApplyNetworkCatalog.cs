using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

namespace Microsoft.ML;

/// <summary>Trained networks as transforms in <c>mlContext.Transforms</c>.</summary>
public static class ApplyNetworkCatalog
{
    /// <summary>
    /// Adds the output of a layer of a trained network as a column, such as features for another trainer.
    /// </summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="outputColumnName">
    /// The name of the new column, a vector of <see cref="float"/> in the shape of the layer's output.
    /// </param>
    /// <param name="model">
    /// A prediction transformer with a network, fitted or loaded, or a chain that ends in one.
    /// </param>
    /// <param name="untilLayer">
    /// The path of the last layer that is applied, such as <c>re_lu</c> or <c>base/re_lu</c>. Null for all layers: the
    /// outputs before a softmax or sigmoid.
    /// </param>
    /// <param name="inputColumnName">
    /// The input column, a vector of <see cref="float"/> of the network's size. Null for
    /// <paramref name="outputColumnName"/>.
    /// </param>
    /// <exception cref="ArgumentException">The model has no network, or the network no such layer.</exception>
    public static ApplyNetworkEstimator ApplyNetwork(
        this TransformsCatalog catalog, string outputColumnName, ITransformer model, string? untilLayer = null,
        string? inputColumnName = null)
    {
        IHostEnvironment env = CatalogUtils.GetEnvironment(catalog);
        env.CheckValue(model, nameof(model));
        INetworkModelParameters found = NetworkModels.Find(env, model, nameof(model));
        return catalog.ApplyNetwork(
            outputColumnName, new SavedNetwork(found.Network, found.State), untilLayer, inputColumnName);
    }

    /// <summary>Adds the output of a layer of a network as a column, for a network from a file, say.</summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="outputColumnName">The name of the new column.</param>
    /// <param name="network">The network and its parameters.</param>
    /// <param name="untilLayer">The path of the last layer that is applied; null for all layers.</param>
    /// <param name="inputColumnName">
    /// The input column, a vector of <see cref="float"/> of the network's size. Null for
    /// <paramref name="outputColumnName"/>.
    /// </param>
    /// <exception cref="ArgumentException">The state does not fit the network, or it has no such layer.</exception>
    public static ApplyNetworkEstimator ApplyNetwork(
        this TransformsCatalog catalog, string outputColumnName, SavedNetwork network, string? untilLayer = null,
        string? inputColumnName = null)
    {
        IHostEnvironment env = CatalogUtils.GetEnvironment(catalog);
        env.CheckNonEmpty(outputColumnName, nameof(outputColumnName));
        env.CheckValue(network, nameof(network));
        try
        {
            network.Network.CheckState(network.State);
            SavedNetwork part = untilLayer is null ? network : Until(network, untilLayer);
            return new ApplyNetworkEstimator(
                env, new ApplyNetworkTransformer(env, outputColumnName, inputColumnName ?? outputColumnName, part));
        }
        catch (ArgumentException error) when (!error.IsMarked())
        {
            throw env.ExceptParam(
                untilLayer is null ? nameof(network) : nameof(untilLayer), Check.Text(error));
        }
    }

    static SavedNetwork Until(SavedNetwork saved, string path)
    {
        Network part = saved.Network.Until(path);
        return new SavedNetwork(part, saved.State.For(part));
    }
}
