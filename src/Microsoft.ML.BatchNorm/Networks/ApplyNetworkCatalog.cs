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
    /// A fitted or loaded prediction transformer with a network, or a chain with one among its steps.
    /// </param>
    /// <param name="until">
    /// The path of the last layer that is applied, such as <c>re_lu</c> or <c>base/re_lu</c>. Null for all layers: the
    /// outputs before a softmax or sigmoid.
    /// </param>
    /// <param name="inputColumnName">
    /// The input column, a vector of <see cref="float"/> of the network's size. Null for
    /// <paramref name="outputColumnName"/>.
    /// </param>
    /// <exception cref="ArgumentException">
    /// The model has no network or several, or the network has no such layer.
    /// </exception>
    public static ApplyNetworkEstimator ApplyNetwork(
        this TransformsCatalog catalog, string outputColumnName, ITransformer model, string? until = null,
        string? inputColumnName = null)
    {
        IHostEnvironment env = CatalogUtils.GetEnvironment(catalog);
        env.CheckValue(model, nameof(model));
        INetworkModelParameters found = NetworkModels.Find(env, model, nameof(model));
        return catalog.ApplyNetwork(
            outputColumnName, new SavedNetwork(found.Network, found.State), until, inputColumnName);
    }

    /// <summary>Adds the output of a layer of a network as a column, for a network from a file, say.</summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="outputColumnName">The name of the new column.</param>
    /// <param name="network">The network and its parameters.</param>
    /// <param name="until">The path of the last layer that is applied; null for all layers.</param>
    /// <param name="inputColumnName">
    /// The input column, a vector of <see cref="float"/> of the network's size. Null for
    /// <paramref name="outputColumnName"/>.
    /// </param>
    /// <exception cref="ArgumentException">The state does not fit the network, or it has no such layer.</exception>
    public static ApplyNetworkEstimator ApplyNetwork(
        this TransformsCatalog catalog, string outputColumnName, SavedNetwork network, string? until = null,
        string? inputColumnName = null)
    {
        IHostEnvironment env = CatalogUtils.GetEnvironment(catalog);
        env.CheckNonEmpty(outputColumnName, nameof(outputColumnName));
        env.CheckValue(network, nameof(network));
        try
        {
            network.Network.CheckState(network.State);
            SavedNetwork part = until is null ? network : Until(network, until);
            return new ApplyNetworkEstimator(
                env, new ApplyNetworkTransformer(env, outputColumnName, inputColumnName ?? outputColumnName, part));
        }
        catch (ArgumentException error) when (!error.IsMarked())
        {
            throw env.ExceptParam(
                until is null ? nameof(network) : nameof(until), Check.Text(error));
        }
    }

    /// <summary>
    /// Normalizes images as a pretrained network expects them: scale, mean and deviation per channel, order of colors.
    /// </summary>
    /// <param name="catalog">The transforms' catalog.</param>
    /// <param name="outputColumnName">
    /// The name of the new column, a vector of <see cref="float"/> with the dimensions channels, height and width.
    /// </param>
    /// <param name="imageWidth">The images' width in pixels.</param>
    /// <param name="imageHeight">Their height in pixels.</param>
    /// <param name="normalization">What the network expects.</param>
    /// <param name="inputColumnName">
    /// The pixels as <c>ExtractPixels</c> gives them with its defaults: red, green, blue, from 0 to 255. Null for
    /// <paramref name="outputColumnName"/>.
    /// </param>
    /// <remarks>
    /// <see cref="SavedNetwork.WithNormalization"/> makes the same a part of the network, which then takes the pixels.
    /// </remarks>
    /// <example>
    /// <code>
    /// var pipeline = mlContext.Transforms.LoadImages("Image", imageFolder: "images", "Path")
    ///     .Append(mlContext.Transforms.ResizeImages("Image", imageWidth: 224, imageHeight: 224))
    ///     .Append(mlContext.Transforms.ExtractPixels("Pixels", "Image"))
    ///     .Append(mlContext.Transforms.NormalizePixels("Pixels", 224, 224, ImageNormalization.Torchvision));
    /// </code>
    /// </example>
    /// <exception cref="ArgumentOutOfRangeException">A size is not positive.</exception>
    public static ApplyNetworkEstimator NormalizePixels(
        this TransformsCatalog catalog, string outputColumnName, int imageWidth, int imageHeight,
        ImageNormalization normalization, string? inputColumnName = null)
    {
        IHostEnvironment env = CatalogUtils.GetEnvironment(catalog);
        env.CheckParam(imageWidth > 0, nameof(imageWidth), "The width must be positive.");
        env.CheckParam(imageHeight > 0, nameof(imageHeight), "The height must be positive.");
        env.CheckValue(normalization, nameof(normalization));
        return catalog.ApplyNetwork(
            outputColumnName, normalization.ToNetwork(imageHeight, imageWidth), until: null, inputColumnName);
    }

    static SavedNetwork Until(SavedNetwork saved, string path)
    {
        Network part = saved.Network.Until(path);
        return new SavedNetwork(part, saved.State.For(part));
    }
}
