using System.Collections.Immutable;
using System.Diagnostics.Contracts;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

public sealed partial class Network
{
    /// <summary>This network with one more layer at its end.</summary>
    /// <param name="layer">The layer. If it has no name, it gets the name that Keras would give it.</param>
    /// <exception cref="ArgumentException">The name is taken, or the shape does not fit.</exception>
    [Pure]
    public Network Add(Layer layer)
    {
        ArgumentNullException.ThrowIfNull(layer);
        return new Draft(this).Add([layer]).Complete();
    }

    bool IsPyTorch => Preset == NetworkPreset.PyTorch;

    KernelInitializer DefaultKernel => IsPyTorch ? KernelInitializer.PyTorch : KernelInitializer.GlorotUniform;

    KernelInitializer DefaultBias => IsPyTorch ? KernelInitializer.PyTorch : KernelInitializer.Zeros;

    /// <summary>Adds a <see cref="DenseLayer"/>.</summary>
    /// <param name="units">The number of outputs.</param>
    /// <param name="useBias">Whether a bias is added.</param>
    /// <param name="kernelInitializer">
    /// How the kernel gets its first values; null for the preset's default: Glorot uniform, or PyTorch's.
    /// </param>
    /// <param name="name">The layer's name; null for the name that Keras would give it.</param>
    /// <exception cref="ArgumentException">The shape does not fit, or the name is taken.</exception>
    [Pure]
    public Network Dense(
        int units, bool useBias = true, KernelInitializer? kernelInitializer = null, string? name = null) =>
        Add(new DenseLayer(units)
        {
            UseBias = useBias,
            KernelInitializer = kernelInitializer ?? DefaultKernel,
            BiasInitializer = DefaultBias,
            Name = name ?? "",
        });

    /// <summary>Adds a <see cref="Conv2DLayer"/>.</summary>
    /// <param name="filters">The number of output channels.</param>
    /// <param name="kernelSize">Height and width of the kernel.</param>
    /// <param name="stride">How far the kernel moves at a time; null for 1.</param>
    /// <param name="padding">
    /// Rows and columns of zeros on each side of the image; <see cref="Padding2D.Same"/> for Keras's
    /// <c>padding="same"</c>.
    /// </param>
    /// <param name="useBias">Whether a bias is added.</param>
    /// <param name="kernelInitializer">
    /// How the kernel gets its first values; null for the preset's default: Glorot uniform, or PyTorch's.
    /// </param>
    /// <param name="name">The layer's name; null for the name that Keras would give it.</param>
    /// <param name="dilation">The distance between the elements that the kernel sees; null for 1.</param>
    /// <param name="groups">
    /// Into how many groups channels and filters are divided; as many as channels for a depthwise convolution.
    /// </param>
    /// <exception cref="ArgumentException">The shape does not fit, or the name is taken.</exception>
    [Pure]
    public Network Conv2D(
        int filters, Size2D kernelSize, Size2D? stride = null, Padding2D padding = default, bool useBias = true,
        KernelInitializer? kernelInitializer = null, string? name = null, Size2D? dilation = null, int groups = 1) =>
        Add(new Conv2DLayer(filters, kernelSize)
        {
            Stride = stride ?? 1,
            Padding = padding,
            Dilation = dilation ?? 1,
            Groups = groups,
            UseBias = useBias,
            KernelInitializer = kernelInitializer ?? DefaultKernel,
            BiasInitializer = DefaultBias,
            Name = name ?? "",
        });

    /// <summary>Adds a <see cref="BatchNormalizationLayer"/>.</summary>
    /// <param name="options">
    /// The layer's options. The preset fills in those that are null. <see cref="BatchNormalizationOptions.Axis"/> is
    /// not used; <paramref name="axis"/> takes its place.
    /// </param>
    /// <param name="axis">
    /// The channel axis, with the batch as axis 0. Default: 1, the first axis of a row, where this library's networks
    /// have their channels.
    /// </param>
    /// <param name="name">The layer's name; null for the name that Keras would give it.</param>
    /// <exception cref="ArgumentException">
    /// The shape has no such axis, the options contradict each other, or the name is taken.
    /// </exception>
    [Pure]
    public Network BatchNormalization(BatchNormalizationOptions? options = null, int axis = 1, string? name = null) =>
        Add(new BatchNormalizationLayer((options ?? new()) with { Axis = axis }) { Name = name ?? "" });

    /// <summary>Adds an <see cref="Activation.ReLU"/>.</summary>
    /// <param name="name">The layer's name; null for the name that Keras would give it.</param>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    [Pure]
    public Network ReLU(string? name = null) => Add(new ActivationLayer(Activation.ReLU) { Name = name ?? "" });

    /// <summary>Adds an <see cref="Activation.LeakyReLU"/>.</summary>
    /// <param name="negativeSlope">
    /// The slope of negative values; null for the preset's: 0.3 for Keras, 0.01 for PyTorch.
    /// </param>
    /// <param name="name">The layer's name; null for the name that Keras would give it.</param>
    /// <exception cref="ArgumentException">The slope is not finite, or the name is taken.</exception>
    [Pure]
    public Network LeakyReLU(double? negativeSlope = null, string? name = null) =>
        Add(new ActivationLayer(Activation.LeakyReLU)
        {
            NegativeSlope = negativeSlope,
            Name = name ?? "",
        });

    /// <summary>Adds an <see cref="Activation.Gelu"/>.</summary>
    /// <param name="name">The layer's name; null for <c>gelu</c>.</param>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    [Pure]
    public Network Gelu(string? name = null) => Add(new ActivationLayer(Activation.Gelu) { Name = name ?? "" });

    /// <summary>Adds an <see cref="Activation.Sigmoid"/>.</summary>
    /// <param name="name">The layer's name; null for <c>sigmoid</c>.</param>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    [Pure]
    public Network Sigmoid(string? name = null) => Add(new ActivationLayer(Activation.Sigmoid) { Name = name ?? "" });

    /// <summary>Adds an <see cref="Activation.Tanh"/>.</summary>
    /// <param name="name">The layer's name; null for <c>tanh</c>.</param>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    [Pure]
    public Network Tanh(string? name = null) => Add(new ActivationLayer(Activation.Tanh) { Name = name ?? "" });

    /// <summary>Adds a <see cref="Activation.SiLU"/>.</summary>
    /// <param name="name">The layer's name; null for <c>silu</c>.</param>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    [Pure]
    public Network SiLU(string? name = null) => Add(new ActivationLayer(Activation.SiLU) { Name = name ?? "" });

    /// <summary>Adds a <see cref="Activation.HardSwish"/>.</summary>
    /// <param name="name">The layer's name; null for <c>hard_swish</c>.</param>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    [Pure]
    public Network HardSwish(string? name = null) =>
        Add(new ActivationLayer(Activation.HardSwish) { Name = name ?? "" });

    /// <summary>Adds a <see cref="Activation.HardSigmoid"/>.</summary>
    /// <param name="name">The layer's name; null for <c>hard_sigmoid</c>.</param>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    [Pure]
    public Network HardSigmoid(string? name = null) =>
        Add(new ActivationLayer(Activation.HardSigmoid) { Name = name ?? "" });

    /// <summary>Adds a <see cref="Activation.ReLU6"/>.</summary>
    /// <param name="name">The layer's name; null for <c>relu6</c>.</param>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    [Pure]
    public Network ReLU6(string? name = null) => Add(new ActivationLayer(Activation.ReLU6) { Name = name ?? "" });

    /// <summary>Adds a <see cref="DropoutLayer"/>.</summary>
    /// <param name="rate">The share of values that are dropped in training, at least 0 and below 1.</param>
    /// <param name="name">The layer's name; null for the name that Keras would give it.</param>
    /// <exception cref="ArgumentException">The rate is out of range, or the name is taken.</exception>
    [Pure]
    public Network Dropout(double rate, string? name = null) => Add(new DropoutLayer(rate) { Name = name ?? "" });

    /// <summary>Adds a <see cref="RandomHorizontalFlipLayer"/>.</summary>
    /// <param name="probability">The share of images that are mirrored in training, from 0 to 1.</param>
    /// <param name="name">The layer's name; null for <c>random_horizontal_flip</c>.</param>
    /// <exception cref="ArgumentException">
    /// The shape is not channels, height and width, the probability is out of range, or the name is taken.
    /// </exception>
    [Pure]
    public Network RandomHorizontalFlip(double probability = 0.5, string? name = null) =>
        Add(new RandomHorizontalFlipLayer(probability) { Name = name ?? "" });

    /// <summary>Adds a <see cref="RandomCropLayer"/>.</summary>
    /// <param name="padding">
    /// The rows and columns of zeros on each side before an image is cut in training; positive, and smaller than the
    /// image's height and width.
    /// </param>
    /// <param name="name">The layer's name; null for <c>random_crop</c>.</param>
    /// <exception cref="ArgumentException">The shape or the padding does not fit, or the name is taken.</exception>
    [Pure]
    public Network RandomCrop(int padding, string? name = null) =>
        Add(new RandomCropLayer(padding) { Name = name ?? "" });

    /// <summary>Adds a <see cref="Pool2DLayer"/> that takes maxima.</summary>
    /// <param name="poolSize">Height and width of the window; null for 2.</param>
    /// <param name="stride">How far the window moves at a time; null for the window's own size.</param>
    /// <param name="padding">
    /// Rows and columns of padding on each side of the image; <see cref="Padding2D.Same"/> for Keras's
    /// <c>padding="same"</c>.
    /// </param>
    /// <param name="name">The layer's name; null for the name that Keras would give it.</param>
    /// <param name="ceilMode">
    /// Whether a last window may reach beyond the padding (<see cref="Pool2DLayer.CeilMode"/>).
    /// </param>
    /// <exception cref="ArgumentException">The shape or the padding does not fit, or the name is taken.</exception>
    [Pure]
    public Network MaxPool2D(
        Size2D? poolSize = null, Size2D? stride = null, Padding2D padding = default, string? name = null,
        bool ceilMode = false) =>
        Add(new Pool2DLayer(Pooling.Max, poolSize ?? 2)
        {
            Stride = stride, Padding = padding, CeilMode = ceilMode, Name = name ?? "",
        });

    /// <summary>Adds a <see cref="Pool2DLayer"/> that takes means.</summary>
    /// <inheritdoc cref="MaxPool2D"/>
    /// <param name="poolSize">Height and width of the window; null for 2.</param>
    /// <param name="stride">How far the window moves at a time; null for the window's own size.</param>
    /// <param name="padding">
    /// Rows and columns of padding on each side of the image; <see cref="Padding2D.Same"/> for Keras's
    /// <c>padding="same"</c>.
    /// </param>
    /// <param name="name">The layer's name; null for the name that Keras would give it.</param>
    /// <param name="ceilMode">
    /// Whether a last window may reach beyond the padding (<see cref="Pool2DLayer.CeilMode"/>).
    /// </param>
    /// <param name="countIncludePad">Whether the padding's zeros count, as in PyTorch; Keras counts none.</param>
    [Pure]
    public Network AveragePool2D(
        Size2D? poolSize = null, Size2D? stride = null, Padding2D padding = default, string? name = null,
        bool ceilMode = false, bool countIncludePad = true) =>
        Add(new Pool2DLayer(Pooling.Average, poolSize ?? 2)
        {
            Stride = stride,
            Padding = padding,
            CeilMode = ceilMode,
            CountIncludePad = countIncludePad,
            Name = name ?? "",
        });

    /// <summary>Adds a <see cref="GlobalAveragePool2DLayer"/>.</summary>
    /// <param name="name">The layer's name; null for the name that Keras would give it.</param>
    /// <exception cref="ArgumentException">
    /// The shape is not channels, height and width, or the name is taken.
    /// </exception>
    [Pure]
    public Network GlobalAveragePool2D(string? name = null) => Add(new GlobalAveragePool2DLayer { Name = name ?? "" });

    /// <summary>Adds a <see cref="FlattenLayer"/>.</summary>
    /// <param name="name">The layer's name; null for the name that Keras would give it.</param>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    [Pure]
    public Network Flatten(string? name = null) => Add(new FlattenLayer { Name = name ?? "" });

    /// <summary>Adds the layers of another network as a block.</summary>
    /// <param name="inner">The other network. Its input has the shape of this network's output.</param>
    /// <param name="name">
    /// The block's name, with which the paths of its layers begin, as in <c>base/dense</c>; null for <c>network</c>.
    /// </param>
    /// <exception cref="ArgumentException">The shapes differ, or the name is taken.</exception>
    [Pure]
    public Network Append(Network inner, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(inner);
        var draft = new Draft(this);
        draft.Add(BlockName(draft, name, "network"), "Network", inner, draft.Last);
        return draft.Complete();
    }

    /// <summary>
    /// This network with the layers of another one in front of it, such as <see cref="RandomHorizontalFlip"/>. All paths
    /// stay, so that a state of this network needs only the state of the layers in front.
    /// </summary>
    /// <param name="front">The other network. Its output has the shape of this network's input.</param>
    /// <example>
    /// <code>
    /// Network network = Network.Input(3, 64, 64).Conv2D(16, 3).ReLU().GlobalAveragePool2D().Dense(5);
    /// Network augmented = network.Prepend(Network.Input(3, 64, 64).RandomHorizontalFlip().RandomCrop(padding: 4));
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">The shapes differ, or both have a layer of the same path.</exception>
    [Pure]
    public Network Prepend(Network front)
    {
        ArgumentNullException.ThrowIfNull(front);
        if (!front.OutputShape.Equals(InputShape))
            throw new ArgumentException(
                $"The network in front has an output of shape {front.OutputShape}; this one needs {InputShape}.",
                nameof(front));
        var draft = new Draft(front, Preset);
        int first = front.nodes.Length;
        foreach (NetworkNode node in nodes)
            draft.Add(node.Path, node.Layer, [.. node.Inputs.Select(input => first + input)]);
        return draft.Complete();
    }

    /// <summary>
    /// Adds a residual block: <paramref name="body"/> and <paramref name="shortcut"/> read the same value, and their
    /// outputs are added (He and others, 2016).
    /// </summary>
    /// <param name="body">
    /// The layers of the block, such as from <c>[16, 8, 8]</c> to <c>[32, 4, 4]</c>. Their paths begin with the block's
    /// name: <c>residual/conv2d</c>.
    /// </param>
    /// <param name="shortcut">
    /// Layers from the same input shape to the same output shape, such as a convolution of size 1 and a batch
    /// normalization; their paths begin with <c>residual/shortcut</c>. Null: the block adds its input itself, which
    /// must have the shape of the body's output.
    /// </param>
    /// <param name="name">
    /// The block's name; null for <c>residual</c>. The sum is the layer <c>residual/add</c>.
    /// </param>
    /// <example>
    /// <code>
    /// Network body = Network.Input(16, 8, 8)
    ///     .Conv2D(16, 3, padding: 1, useBias: false).BatchNormalization().ReLU()
    ///     .Conv2D(16, 3, padding: 1, useBias: false).BatchNormalization();
    /// Network network = Network.Input(3, 8, 8).Conv2D(16, 3, padding: 1).Residual(body).ReLU();
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">
    /// The shapes do not fit, the name is taken, or the body has a layer <c>add</c> or, if a shortcut is given, a layer
    /// or block <c>shortcut</c>.
    /// </exception>
    [Pure]
    public Network Residual(Network body, Network? shortcut = null, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(body);
        var draft = new Draft(this);
        int value = draft.Last;
        string block = BlockName(draft, name, "residual"), other = $"{block}/shortcut";
        if (shortcut is { nodes.IsEmpty: false } && body.nodes.Any(node => node.Path.Split('/')[0] == "shortcut"))
            throw new ArgumentException($"The network has a layer '{other}' already.");
        int end = draft.Add(block, "Residual", body, value);
        int past = shortcut is null ? value : draft.Add(other, "Residual", shortcut, value);
        draft.Add($"{block}/add", new AddLayer { Name = "add" }, [end, past]);
        return draft.Complete();
    }

    /// <summary>
    /// Adds branches that read the same value, and concatenates their outputs along the channels: layers
    /// <c>concat/0/…</c>, <c>concat/1/…</c>, and the layer <c>concat/concat</c>.
    /// </summary>
    /// <param name="branches">
    /// Two or more networks that take this network's output. Their output shapes may differ only in the first
    /// dimension: <c>[2, 8, 8]</c> and <c>[3, 8, 8]</c> give <c>[5, 8, 8]</c>. A network without layers passes the
    /// value on.
    /// </param>
    /// <example>
    /// <code>
    /// Network value = Network.Input(4, 8, 8);
    /// Network network = value.Concat(value.Conv2D(8, 1), value.Conv2D(8, 3, padding: 1).ReLU(), value);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">There are fewer than two branches, or the shapes do not fit.</exception>
    [Pure]
    public Network Concat(params Network[] branches) => Concat(name: null, branches);

    /// <inheritdoc cref="Concat(Network[])"/>
    /// <param name="name">The block's name; null for <c>concat</c>.</param>
    /// <param name="branches">
    /// Two or more networks that take this network's output. Their output shapes may differ only in the first
    /// dimension.
    /// </param>
    /// <exception cref="ArgumentException">
    /// There are fewer than two branches, the shapes do not fit, or the name is taken.
    /// </exception>
    [Pure]
    public Network Concat(string? name, params Network[] branches)
    {
        ArgumentNullException.ThrowIfNull(branches);
        var draft = new Draft(this);
        int value = draft.Last;
        string block = BlockName(draft, name, "concat");
        var ends = ImmutableArray.CreateBuilder<int>();
        for (int i = 0; i < branches.Length; i++)
        {
            ArgumentNullException.ThrowIfNull(branches[i], nameof(branches));
            ends.Add(draft.Add($"{block}/{i}", "Concat", branches[i], value));
        }
        if (ends.Count < 2)
            throw new ArgumentException($"Concat takes two branches or more, not {ends.Count}.", nameof(branches));
        draft.Add($"{block}/concat", new ConcatLayer { Name = "concat" }, ends.ToImmutable());
        return draft.Complete();
    }

    /// <summary>
    /// Multiplies a value by what <paramref name="gate"/> makes of it: layers <c>multiply/…</c>, and the product
    /// <c>multiply/multiply</c>. With a gate that ends in a factor per channel it is squeeze and excitation (Hu and
    /// others, 2018).
    /// </summary>
    /// <param name="gate">
    /// A network from this one's output shape to the same shape, or to one factor per channel: from <c>[16, 8, 8]</c>
    /// to <c>[16]</c> or <c>[16, 1, 1]</c>.
    /// </param>
    /// <param name="name">The block's name; null for <c>multiply</c>.</param>
    /// <example>
    /// <code>
    /// Network gate = Network.Input(16, 8, 8).GlobalAveragePool2D().Dense(4).ReLU().Dense(16).Sigmoid();
    /// Network network = Network.Input(3, 8, 8).Conv2D(16, 3, padding: 1).Multiply(gate);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">
    /// The shapes do not fit, the name is taken, or the gate has a layer <c>multiply</c>.
    /// </exception>
    [Pure]
    public Network Multiply(Network gate, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(gate);
        var draft = new Draft(this);
        int value = draft.Last;
        string block = BlockName(draft, name, "multiply");
        int factors = draft.Add(block, "Multiply", gate, value);
        draft.Add($"{block}/multiply", new MultiplyLayer { Name = "multiply" }, [value, factors]);
        return draft.Complete();
    }

    static string BlockName(Draft draft, string? name, string otherwise) =>
        draft.FreeName(Layer.Named(name ?? ""), otherwise);

    /// <summary>
    /// A network of one frozen <see cref="TorchScriptLayer"/>, to which you can add a head:
    /// <c>FromTorchScript("base.pt", new(3, 224, 224), new(512)).Dense(10)</c>. Only the engine on TorchSharp trains it
    /// and predicts with it; <c>Unfreeze("torch_script")</c> lets the module learn too.
    /// </summary>
    /// <param name="path">A file that <c>torch.jit.save</c> wrote; all of it is read into memory.</param>
    /// <param name="input">The shape of an input row, without the batch.</param>
    /// <param name="output">The shape of an output row, without the batch.</param>
    /// <param name="name">The layer's name; null for <c>torch_script</c>.</param>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Network FromTorchScript(string path, TensorShape input, TensorShape output, string? name = null)
    {
        byte[] module = File.ReadAllBytes(path);
        return Of(input, new TorchScriptLayer(ImmutableCollectionsMarshal.AsImmutableArray(module), input, output)
        {
            Name = name ?? "",
            Trainable = false,
        });
    }

    /// <summary>A network while nodes are added. Each addition is checked against the rules for networks.</summary>
    sealed class Draft
    {
        readonly TensorShape inputShape;
        readonly NetworkPreset? preset;
        readonly ImmutableArray<NetworkNode>.Builder nodes = ImmutableArray.CreateBuilder<NetworkNode>();
        readonly HashSet<string> paths = new(StringComparer.Ordinal), blocks = new(StringComparer.Ordinal);

        // The first number of each default name that may be free: lower ones are taken, and none becomes free again.
        readonly Dictionary<string, int> numbers = new(StringComparer.Ordinal);

        public Draft(TensorShape inputShape, NetworkPreset? preset)
        {
            if (inputShape.Size > MaxRowSize)
                throw new ArgumentException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"The network's input of {inputShape} takes {inputShape.Size * (long)sizeof(float):N0} bytes per "
                    + $"row, more than the {MaxRowSize * (long)sizeof(float):N0} that are allowed."));
            (this.inputShape, this.preset) = (inputShape, preset);
        }

        public Draft(Network network)
            : this(network, network.Preset)
        {
        }

        public Draft(Network network, NetworkPreset? preset)
            : this(network.InputShape, preset)
        {
            foreach (NetworkNode node in network.nodes)
            {
                Take(node.Path);
                nodes.Add(node);
            }
        }

        /// <summary>
        /// The index of the last node, which the next layer reads; −1, the network's input, if there is none.
        /// </summary>
        public int Last => nodes.Count - 1;

        public Draft Add(IEnumerable<Layer> layers)
        {
            foreach (Layer layer in layers)
            {
                ArgumentNullException.ThrowIfNull(layer);
                string name = FreeName(layer.Name, layer.DefaultName);
                Add(name, Filled(layer with { Name = name }), [Last]);
            }
            return this;
        }

        /// <summary>Adds the nodes of a network as a block.</summary>
        /// <param name="path">The path of the block, with which the paths of the nodes begin.</param>
        /// <param name="kind">The kind of block, for a message.</param>
        /// <param name="network">The network. One without layers adds nothing.</param>
        /// <param name="value">The index of the node whose output the block reads.</param>
        /// <returns>The index of the node whose output is the block's.</returns>
        public int Add(string path, string kind, Network network, int value)
        {
            if (!network.InputShape.Equals(ShapeOf(value)))
                throw new ArgumentException(
                    $"Layer '{path}' ({kind}) has an input of shape {ShapeOf(value)}; it needs {network.InputShape}.");
            int first = nodes.Count;
            foreach (NetworkNode node in network.nodes)
                Add(
                    $"{path}/{node.Path}", Filled(node.Layer),
                    [.. node.Inputs.Select(input => input < 0 ? value : first + input)]);
            return network.nodes.IsEmpty ? value : Last;
        }

        public int Add(string path, Layer layer, ImmutableArray<int> inputs)
        {
            if (inputs.IsDefaultOrEmpty || inputs.Any(input => input < ValueGraph.Source || input >= nodes.Count))
                throw new ArgumentException(
                    $"Layer '{path}' must read the network's input, -1, or earlier layers, 0 to {Last}"
                    + (inputs.IsDefaultOrEmpty ? "." : $", not {Check.List(inputs)}."));
            ImmutableArray<TensorShape> shapes = [.. inputs.Select(ShapeOf)];
            TensorShape output = layer.OutputShape(shapes);
            layer.CheckRow(shapes, "output", [.. output.Dimensions]);
            Take(path);
            if (nodes.Count == MaxNodes)
                throw new ArgumentException($"A network has at most {MaxNodes} layers.");
            nodes.Add(new NetworkNode(path, layer, inputs, shapes, output));
            return Last;
        }

        public Network Complete()
        {
            var network = new Network(inputShape, preset, nodes.ToImmutable());
            long open = inputShape.Size;
            for (int i = 0; i < nodes.Count; i++)
            {
                if (network.Values.ReadersOf(i) == 0 && i < Last)
                    throw new ArgumentException(
                        $"No layer reads '{nodes[i].Path}', and it is not the last layer, whose output is the "
                        + "network's.");
                open += nodes[i].Output.Size;
                if (open > MaxOpenSize)
                    throw new ArgumentException(string.Create(
                        CultureInfo.InvariantCulture,
                        $"The values that are still to be read at layer '{nodes[i].Path}' take "
                        + $"{open * sizeof(float):N0} bytes per row, more than the "
                        + $"{(long)MaxOpenSize * sizeof(float):N0} that are allowed."));
                foreach (int value in nodes[i].Inputs.Distinct())
                    open -= network.Values.LastReaderOf(value) == i ? ShapeOf(value).Size : 0;
            }
            return network;
        }

        /// <summary>
        /// The given name of a new layer or block at the top level, which must be free; if it is empty, a free name.
        /// </summary>
        public string FreeName(string given, string otherwise)
        {
            if (given.Length > 0)
                return paths.Contains(given) || blocks.Contains(given)
                    ? throw new ArgumentException($"The network has a layer '{given}' already.")
                    : given;
            int number = numbers.GetValueOrDefault(otherwise);
            string free;
            do
            {
                free = number == 0 ? otherwise : $"{otherwise}_{number}";
                number++;
            }
            while (paths.Contains(free) || blocks.Contains(free));
            numbers[otherwise] = number;
            return free;
        }

        TensorShape ShapeOf(int value) => value < 0 ? inputShape : nodes[value].Output;

        Layer Filled(Layer layer) =>
            preset is { } known ? Network.Filled(layer, OptionsOf(known), ActivationLayer.SlopeOf(known)) : layer;

        void Take(string path)
        {
            if (path.Length > MaxPath)
                throw new ArgumentException(
                    $"The path '{path.AsSpan(0, 40)}…' has {path.Length} characters; {MaxPath} are allowed.");
            int levels = path.AsSpan().Count('/') + 1;
            if (levels > MaxLevels)
                throw new ArgumentException(
                    $"The path '{path.AsSpan(0, Math.Min(path.Length, 40))}…' has {levels} levels; {MaxLevels} are "
                    + "allowed.");
            if (blocks.Contains(path) || !paths.Add(path))
                throw new ArgumentException($"The network has a layer '{path}' already.");
            for (int end = path.IndexOf('/'); end >= 0; end = path.IndexOf('/', end + 1))
            {
                string block = path[..end];
                if (paths.Contains(block))
                    throw new ArgumentException($"The network has a layer '{block}' already.");
                blocks.Add(block);
            }
        }
    }
}
