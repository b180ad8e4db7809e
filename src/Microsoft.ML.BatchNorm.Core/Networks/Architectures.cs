using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Convolutional networks that are known by name, with fresh layers for images <c>[channels, height, width]</c>. Their
/// paths are the names of torchvision's modules with <c>/</c> instead of the dot. So weights from there load without a
/// mapping, and <c>Freeze("layer1")</c> freezes what is called <c>layer1</c> there.
/// </summary>
/// <remarks>
/// Batch normalizations have PyTorch's ε of 1e-5 and momentum of 0.1. The kernels of convolutions begin with
/// <see cref="KernelInitializer.HeNormal"/>, the head as PyTorch's <c>Linear</c> does. Images of other sizes than 224 ×
/// 224 work if they are large enough for every layer; the weights do not depend on the size.
/// </remarks>
/// <example>
/// <code>
/// SavedNetwork pretrained = Architectures.ResNet18().LoadSafetensors("resnet18.safetensors");
/// Network mine = pretrained.Network.WithHead(5);
/// NetworkState state = mine.Initialize(pretrained.State, seed: 1);
/// </code>
/// </example>
public static class Architectures
{
    /// <summary>ResNet-18 (He and others, 2016): 11,689,512 learned parameters with 1,000 classes.</summary>
    /// <param name="classes">The number of outputs.</param>
    /// <param name="input">The shape of an image; null for <c>[3, 224, 224]</c>.</param>
    /// <exception cref="ArgumentException">The image is too small, or a number is not positive.</exception>
    public static Network ResNet18(int classes = 1000, TensorShape? input = null) =>
        ResNet(BasicBlock, [2, 2, 2, 2], expansion: 1, classes, input);

    /// <summary>ResNet-34 (He and others, 2016): 21,797,672 learned parameters with 1,000 classes.</summary>
    /// <inheritdoc cref="ResNet18"/>
    public static Network ResNet34(int classes = 1000, TensorShape? input = null) =>
        ResNet(BasicBlock, [3, 4, 6, 3], expansion: 1, classes, input);

    /// <summary>
    /// ResNet-50 with the stride in the 3×3 convolution, as PyTorch and NVIDIA have it (v1.5): 25,557,032 learned
    /// parameters with 1,000 classes.
    /// </summary>
    /// <inheritdoc cref="ResNet18"/>
    public static Network ResNet50(int classes = 1000, TensorShape? input = null) =>
        ResNet(Bottleneck, [3, 4, 6, 3], expansion: 4, classes, input);

    /// <summary>MobileNetV2 (Sandler and others, 2018): 3,504,872 learned parameters with 1,000 classes.</summary>
    /// <inheritdoc cref="ResNet18"/>
    public static Network MobileNetV2(int classes = 1000, TensorShape? input = null)
    {
        var nodes = new Builder(input);
        nodes.ConvNormActivation("features/0", Activation.ReLU6, 32, 3, stride: 2);
        int channels = 32, block = 1;
        foreach ((int expansion, int filters, int count, int firstStride) in new[]
                 {
                     (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                     (6, 320, 1, 1),
                 })
        {
            for (int i = 0; i < count; i++, block++)
            {
                int before = nodes.Last, stride = i == 0 ? firstStride : 1, hidden = channels * expansion, part = 0;
                string path = $"features/{block}/conv";
                if (expansion > 1)
                    nodes.ConvNormActivation($"{path}/{part++}", Activation.ReLU6, hidden, 1);
                nodes.ConvNormActivation($"{path}/{part++}", Activation.ReLU6, hidden, 3, stride, groups: hidden);
                nodes.ConvNorm(path, $"{part}", $"{part + 1}", filters, 1);
                if (stride == 1 && channels == filters)
                    nodes.Add($"features/{block}/add", new AddLayer(), nodes.Last, before);
                channels = filters;
            }
        }
        nodes.ConvNormActivation($"features/{block}", Activation.ReLU6, 1280, 1);
        nodes.Add("avgpool", new GlobalAveragePool2DLayer());
        nodes.Add("classifier/0", new DropoutLayer(0.2));
        return nodes.Complete("classifier/1", classes);
    }

    /// <summary>DenseNet-121 (Huang and others, 2017): 7,978,856 learned parameters with 1,000 classes.</summary>
    /// <inheritdoc cref="ResNet18"/>
    public static Network DenseNet121(int classes = 1000, TensorShape? input = null)
    {
        const int Growth = 32, BottleneckFilters = 4 * Growth;
        int[] blocks = [6, 12, 24, 16];
        var nodes = new Builder(input);
        nodes.ConvNorm("features", "conv0", "norm0", 64, 7, stride: 2);
        nodes.ReLU("features/relu0");
        nodes.Add("features/pool0", new Pool2DLayer(Pooling.Max, 3) { Stride = 2, Padding = 1 });
        int channels = 64;
        for (int block = 0; block < blocks.Length; block++)
        {
            for (int layer = 1; layer <= blocks[block]; layer++, channels += Growth)
            {
                string path = $"features/denseblock{block + 1}/denselayer{layer}";
                int before = nodes.Last;
                nodes.Norm($"{path}/norm1");
                nodes.ReLU($"{path}/relu1");
                nodes.ConvNorm(path, "conv1", "norm2", BottleneckFilters, 1);
                nodes.ReLU($"{path}/relu2");
                nodes.Conv($"{path}/conv2", Growth, 3);
                nodes.Add($"{path}/concat", new ConcatLayer(), before, nodes.Last);
            }
            if (block == blocks.Length - 1)
                break;
            string transition = $"features/transition{block + 1}";
            nodes.Norm($"{transition}/norm");
            nodes.ReLU($"{transition}/relu");
            nodes.Conv($"{transition}/conv", channels /= 2, 1);
            nodes.Add($"{transition}/pool", new Pool2DLayer(Pooling.Average, 2));
        }
        nodes.Norm("features/norm5");
        nodes.ReLU("relu");
        nodes.Add("avgpool", new GlobalAveragePool2DLayer());
        return nodes.Complete("classifier", classes);
    }

    /// <summary>
    /// EfficientNet-B0 (Tan and Le, 2019): 5,288,548 learned parameters with 1,000 classes. It has no stochastic depth,
    /// which drops whole blocks in training.
    /// </summary>
    /// <inheritdoc cref="ResNet18"/>
    public static Network EfficientNetB0(int classes = 1000, TensorShape? input = null)
    {
        var nodes = new Builder(input);
        nodes.ConvNormActivation("features/0", Activation.SiLU, 32, 3, stride: 2);
        int channels = 32, stage = 1;
        foreach ((int expansion, int size, int firstStride, int filters, int count) in new[]
                 {
                     (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3),
                     (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
                 })
        {
            for (int i = 0; i < count; i++)
            {
                int before = nodes.Last, stride = i == 0 ? firstStride : 1, hidden = channels * expansion, part = 0;
                string block = $"features/{stage}/{i}", path = $"{block}/block";
                if (expansion > 1)
                    nodes.ConvNormActivation($"{path}/{part++}", Activation.SiLU, hidden, 1);
                nodes.ConvNormActivation($"{path}/{part++}", Activation.SiLU, hidden, size, stride, groups: hidden);
                nodes.SqueezeAndExcitation($"{path}/{part++}", Math.Max(1, channels / 4), hidden);
                nodes.ConvNorm($"{path}/{part}", "0", "1", filters, 1);
                if (stride == 1 && channels == filters)
                    nodes.Add($"{block}/add", new AddLayer(), nodes.Last, before);
                channels = filters;
            }
            stage++;
        }
        nodes.ConvNormActivation($"features/{stage}", Activation.SiLU, 1280, 1);
        nodes.Add("avgpool", new GlobalAveragePool2DLayer());
        nodes.Add("classifier/0", new DropoutLayer(0.2));
        return nodes.Complete("classifier/1", classes);
    }

    static Network ResNet(
        Action<Builder, string, int, int> block, int[] counts, int expansion, int classes, TensorShape? input)
    {
        var nodes = new Builder(input);
        nodes.ConvNorm("", "conv1", "bn1", 64, 7, stride: 2);
        nodes.ReLU("relu");
        nodes.Add("maxpool", new Pool2DLayer(Pooling.Max, 3) { Stride = 2, Padding = 1 });
        for (int stage = 0, filters = 64, channels = 64; stage < counts.Length; stage++, filters *= 2)
        {
            for (int i = 0; i < counts[stage]; i++, channels = filters * expansion)
            {
                int stride = i == 0 && stage > 0 ? 2 : 1, before = nodes.Last;
                string path = $"layer{stage + 1}/{i}";
                block(nodes, path, filters, stride);
                int end = nodes.Last, past = before;
                if (stride > 1 || channels != filters * expansion)
                {
                    nodes.ConvNorm($"{path}/downsample", "0", "1", filters * expansion, 1, stride, from: before);
                    past = nodes.Last;
                }
                nodes.Add($"{path}/add", new AddLayer(), end, past);
                nodes.ReLU($"{path}/relu");
            }
        }
        nodes.Add("avgpool", new GlobalAveragePool2DLayer());
        return nodes.Complete("fc", classes);
    }

    static void BasicBlock(Builder nodes, string path, int filters, int stride)
    {
        nodes.ConvNorm(path, "conv1", "bn1", filters, 3, stride);
        nodes.ReLU($"{path}/relu1");
        nodes.ConvNorm(path, "conv2", "bn2", filters, 3);
    }

    static void Bottleneck(Builder nodes, string path, int filters, int stride)
    {
        nodes.ConvNorm(path, "conv1", "bn1", filters, 1);
        nodes.ReLU($"{path}/relu1");
        nodes.ConvNorm(path, "conv2", "bn2", filters, 3, stride);
        nodes.ReLU($"{path}/relu2");
        nodes.ConvNorm(path, "conv3", "bn3", 4 * filters, 1);
    }

    /// <summary>
    /// The nodes of a network while it is made. A layer reads the one before it unless told otherwise.
    /// </summary>
    sealed class Builder(TensorShape? input)
    {
        readonly TensorShape input = input ?? new TensorShape(3, 224, 224);
        readonly List<(string Path, Layer Layer, ImmutableArray<int> Inputs)> nodes = [];
        readonly List<TensorShape> shapes = [];

        public int Last => nodes.Count - 1;

        public void Add(string path, Layer layer, params int[] inputs)
        {
            layer = layer with { Name = path[(path.LastIndexOf('/') + 1)..] };
            ImmutableArray<int> read = inputs.Length == 0 ? [Last] : [.. inputs];
            nodes.Add((path, layer, read));
            shapes.Add(layer.OutputShape([.. read.Select(ShapeOf)]));
        }

        public void ReLU(string path) => Add(path, new ActivationLayer(Activation.ReLU));

        public void Norm(string path) => Add(path, new BatchNormalizationLayer(BatchNormalizationOptions.PyTorch));

        public void Conv(
            string path, int filters, int size, int stride = 1, int groups = 1, bool useBias = false,
            int? from = null) =>
            Add(
                path, new Conv2DLayer(filters, size)
                {
                    Stride = stride,
                    Padding = size / 2,
                    Groups = groups,
                    UseBias = useBias,
                    KernelInitializer = KernelInitializer.HeNormal,
                }, from ?? Last);

        /// <summary>A convolution without bias and its normalization, side by side in a block.</summary>
        public void ConvNorm(
            string block, string conv, string norm, int filters, int size, int stride = 1, int groups = 1,
            int? from = null)
        {
            string path = block.Length == 0 ? "" : $"{block}/";
            Conv($"{path}{conv}", filters, size, stride, groups, from: from);
            Norm($"{path}{norm}");
        }

        /// <summary>torchvision's <c>Conv2dNormActivation</c>: a block of the three.</summary>
        public void ConvNormActivation(
            string block, Activation activation, int filters, int size, int stride = 1, int groups = 1)
        {
            ConvNorm(block, "0", "1", filters, size, stride, groups);
            Add($"{block}/2", new ActivationLayer(activation));
        }

        /// <summary>
        /// Multiplies each channel by a factor, which two convolutions compute from the means of all channels.
        /// </summary>
        public void SqueezeAndExcitation(string path, int squeezed, int channels)
        {
            int value = Last;
            TensorShape image = ShapeOf(value);
            Add($"{path}/avgpool", new Pool2DLayer(Pooling.Average, (image[1], image[2])));
            Conv($"{path}/fc1", squeezed, 1, useBias: true);
            Add($"{path}/activation", new ActivationLayer(Activation.SiLU));
            Conv($"{path}/fc2", channels, 1, useBias: true);
            Add($"{path}/scale_activation", new ActivationLayer(Activation.Sigmoid));
            Add($"{path}/scale", new MultiplyLayer(), value, Last);
        }

        public Network Complete(string head, int classes)
        {
            Add(
                head, new DenseLayer(classes)
                {
                    KernelInitializer = KernelInitializer.PyTorch,
                    BiasInitializer = KernelInitializer.PyTorch,
                });
            return Network.OfNodes(input, NetworkPreset.PyTorch, nodes);
        }

        TensorShape ShapeOf(int value) => value < 0 ? input : shapes[value];
    }
}
