using System.Collections.Immutable;
using System.Diagnostics.Contracts;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What a pretrained network expects of its images: each pixel x becomes (x · scale − mean) / deviation, with a mean and
/// a deviation per channel, and the colors in their order or reversed. An immutable value.
/// </summary>
/// <remarks>
/// The pixels that go in are those of ML.NET's <c>ExtractPixels</c> with its defaults, as those of PyTorch and Keras
/// before their own normalization: channels first, red, green, blue, from 0 to 255.
/// </remarks>
/// <example>
/// <code>
/// SavedNetwork pretrained = Architectures.ResNet18().LoadSafetensors("resnet18.safetensors");
/// SavedNetwork forPixels = pretrained.WithNormalization(ImageNormalization.Torchvision);
/// </code>
/// </example>
public sealed record ImageNormalization
{
    /// <summary>Takes the mean and the deviation of each channel.</summary>
    /// <param name="mean">
    /// The mean of each channel, after <see cref="Scale"/>, in the order that the network expects.
    /// </param>
    /// <param name="deviation">The deviation of each channel, positive, in that order.</param>
    /// <exception cref="ArgumentException">
    /// There is no channel, the lengths differ, a number is not finite, or a deviation is not positive.
    /// </exception>
    public ImageNormalization(ImmutableArray<double> mean, ImmutableArray<double> deviation)
    {
        if (mean.IsDefaultOrEmpty || deviation.IsDefault || mean.Length != deviation.Length)
            throw new ArgumentException("There must be one mean and one deviation per channel.", nameof(deviation));
        foreach (double value in mean)
        {
            if (!double.IsFinite(value))
                throw Check.OutOfRange(value, nameof(mean), "finite");
        }
        foreach (double value in deviation)
            CheckPositive(value, nameof(deviation));
        (Mean, Deviation) = (mean, deviation);
    }

    /// <summary>The mean of each channel, in the order that the network expects.</summary>
    public ImmutableArray<double> Mean { get; }

    /// <summary>The deviation of each channel, in the order that the network expects.</summary>
    public ImmutableArray<double> Deviation { get; }

    /// <summary>The factor of the pixels, such as 1/255; positive. Default: 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive and finite.</exception>
    public double Scale { get; init => field = CheckPositive(value, nameof(Scale)); } = 1;

    /// <summary>Whether the network expects blue, green, red. Default: false.</summary>
    public bool ReverseColors { get; init; }

    /// <summary>
    /// What the pretrained networks of torchvision expect, and Keras's <c>preprocess_input</c> with mode <c>"torch"</c>:
    /// pixels from 0 to 1, the mean and the deviation of ImageNet.
    /// </summary>
    public static ImageNormalization Torchvision { get; } =
        new([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]) { Scale = 1 / 255d };

    /// <summary>Keras's <c>preprocess_input</c> with mode <c>"tf"</c>: pixels from −1 to 1.</summary>
    public static ImageNormalization TensorFlow { get; } = new([1, 1, 1], [1, 1, 1]) { Scale = 1 / 127.5 };

    /// <summary>
    /// Keras's <c>preprocess_input</c> with mode <c>"caffe"</c>: blue, green, red, less the mean of ImageNet.
    /// </summary>
    public static ImageNormalization Caffe { get; } =
        new([103.939, 116.779, 123.68], [1, 1, 1]) { ReverseColors = true };

    /// <summary>
    /// A network that does this and nothing else. Its layers are a frozen batch normalization, which training never
    /// changes, and, if the colors are reversed, a frozen convolution of size 1 before it.
    /// </summary>
    /// <param name="height">The height of the images.</param>
    /// <param name="width">Their width.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is not positive.</exception>
    [Pure]
    public SavedNetwork ToNetwork(int height, int width)
    {
        int channels = Mean.Length;
        Network network = Network.Input(channels, height, width);
        var state = new List<KeyValuePair<string, LayerState>>();
        if (ReverseColors)
        {
            network = network.Add(new Conv2DLayer(channels, 1)
            {
                Name = "reverse_colors", UseBias = false, Trainable = false,
            });
            float[] kernel = new float[channels * channels];
            for (int i = 0; i < channels; i++)
                kernel[i * channels + channels - 1 - i] = 1;
            state.Add(new("reverse_colors", new LayerState(kernel)));
        }
        network = network.Add(new BatchNormalizationLayer(new()
        {
            Axis = 1,
            Epsilon = 0,
            Center = false,
            Scale = false,
            MovingStatistics = MovingStatistics.Exponential,
            VarianceConvention = VarianceConvention.Population,
        })
        {
            Name = "image_normalization", Trainable = false,
        });
        double[] mean = [.. Mean.Select(value => value / Scale)];
        double[] variance = [.. Deviation.Select(value => Math.Pow(value / Scale, 2))];
        state.Add(new("image_normalization", new LayerState(new BatchNormalizationState(mean, variance))));
        return new SavedNetwork(network, new NetworkState(state));
    }

    /// <inheritdoc/>
    public bool Equals(ImageNormalization? other) =>
        other is not null && Scale.Equals(other.Scale) && ReverseColors == other.ReverseColors
        && Mean.AsSpan().SequenceEqual(other.Mean.AsSpan())
        && Deviation.AsSpan().SequenceEqual(other.Deviation.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.Add(Scale);
        hash.Add(ReverseColors);
        foreach (double value in Mean.Concat(Deviation))
            hash.Add(value);
        return hash.ToHashCode();
    }

    static double CheckPositive(double value, string name) =>
        value > 0 && double.IsFinite(value) ? value : throw Check.OutOfRange(value, name, "positive and finite");
}
