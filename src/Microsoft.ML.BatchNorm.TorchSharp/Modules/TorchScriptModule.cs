using System.Collections.Immutable;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// A <see cref="TorchScriptLayer"/>. A frozen one is always in inference mode. In one that is trained, all parameters
/// learn, and they are slices of the same vector as those of the other layers.
/// </summary>
sealed class TorchScriptModule : LayerModule
{
    readonly TorchScriptLayer layer;
    readonly LayerState? given;
    readonly torch.jit.ScriptModule<Tensor, Tensor> module;
    readonly ImmutableArray<(string Name, Tensor Tensor)> parameterTensors;
    readonly ImmutableArray<Tensor> bufferTensors;
    readonly DeviceParameter[] trainedParameters;
    ImmutableArray<Tensor> bufferCopies = [];
    bool hasLearned;

    /// <exception cref="NotSupportedException">
    /// The layer is trained and has nothing to learn, or libtorch computes its convolutions wrongly on this CPU.
    /// </exception>
    /// <exception cref="InvalidDataException">The bytes are not a TorchScript module.</exception>
    public TorchScriptModule(NetworkNode node, TorchScriptLayer layer, LayerState? state, torch.Device device)
        : base(node)
    {
        this.layer = layer;
        given = state;
        module = TorchScriptFile.Load(node.Path, Bytes, device);
        if (device.type == DeviceType.CPU && TorchScriptFile.HasConvolutions(Bytes) && !OneDnn.IsRight)
        {
            module.Dispose();
            throw new NotSupportedException(
                $"Layer '{node.Path}' is a TorchScript module with convolutions, and libtorch computes those wrongly "
                + "on this processor. Set the environment variable ONEDNN_MAX_CPU_ISA to SSE41 before the process "
                + "starts, or use a GPU.");
        }
        // Without Keep, TorchSharp would dispose of them with the dispose scope that is open now.
        parameterTensors = [.. module.named_parameters().Select(entry => (entry.name, Tensors.Keep(entry.parameter)))];
        bufferTensors = [.. module.buffers().Select(Tensors.Keep)];
        trainedParameters = layer.Trainable ? TrainedParameters() : [];
        foreach ((_, Tensor parameter) in parameterTensors)
            parameter.requires_grad = layer.Trainable;
        module.train(layer.Trainable);
    }

    public override IEnumerable<DeviceParameter> Parameters => trainedParameters;

    public override Tensor forward(Tensor x)
    {
        Tensor y = module.call(x);
        long[] row = [.. y.shape.Skip(1)];
        return row.SequenceEqual(layer.Output.Dimensions.ToArray().Select(d => (long)d))
            ? y
            : throw new InvalidDataException(
                $"Layer '{Path}' (TorchScript) gives rows of [{string.Join(", ", row)}] instead of {layer.Output}.");
    }

    // The module is not registered as a child (see RegisterComponents), so base.train() does not reach it.
    public override void train(bool train = true)
    {
        base.train(train);
        if (layer.Trainable)
            module.train(train);
    }

    public override void BeginStep(int seed, long step)
    {
        if (!layer.Trainable)
            return;
        DisposeCopies();
        hasLearned = true;
        bufferCopies = [.. bufferTensors.Select(buffer => Tensors.Keep(buffer.clone()))];
    }

    public override void UndoStep()
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((Tensor buffer, Tensor copy) in bufferTensors.Zip(bufferCopies))
            buffer.copy_(copy);
    }

    /// <remarks>
    /// The parameters are slices of a large vector, and libtorch would write the whole vector for each of them. So this
    /// copies the values to a second module and writes that one.
    /// </remarks>
    public override LayerState? GetState(IReadOnlyDictionary<string, float[]> values)
    {
        if (!hasLearned)
            return given;
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        using torch.jit.ScriptModule<Tensor, Tensor> copy = TorchScriptFile.Load(Path, Bytes, torch.CPU);
        foreach ((Tensor to, Tensor from) in copy.parameters().Zip(parameterTensors.Select(entry => entry.Tensor)))
            to.copy_(from);
        foreach ((Tensor to, Tensor from) in copy.buffers().Zip(bufferTensors))
            to.copy_(from);
        return LayerState.OfTorchScript(TorchScriptFile.Save(copy));
    }

    protected override void RegisterComponents()
    {
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            DisposeCopies();
            foreach (Tensor tensor in bufferTensors.AddRange(parameterTensors.Select(entry => entry.Tensor)))
                tensor.Dispose();
            // Disposing of the module makes new tensors, of the modules in it.
            using var scope = torch.NewDisposeScope();
            module.Dispose();
        }
        base.Dispose(disposing);
    }

    ImmutableArray<byte> Bytes => given?.TorchScript ?? layer.Module;

    DeviceParameter[] TrainedParameters()
    {
        DeviceParameter[] trained = [.. parameterTensors.Select(entry => TrainedParameter(entry.Name, entry.Tensor))];
        return trained.Length > 0
            ? trained
            : throw new NotSupportedException(
                $"Layer '{Path}' is a TorchScript module without parameters, as torch.jit.freeze leaves it, which "
                + "cannot be trained; freeze it.");
    }

    DeviceParameter TrainedParameter(string name, Tensor tensor) => tensor.dtype == ScalarType.Float32
        ? new($"{Path}/{name}", tensor.shape, Tensors.Download<float>(tensor), isTrained: true, tensor)
        : throw new NotSupportedException(
            $"Layer '{Path}' is a TorchScript module whose '{name}' is {tensor.dtype}; only Float32 is trained.");

    void DisposeCopies()
    {
        foreach (Tensor copy in bufferCopies)
            copy.Dispose();
        bufferCopies = [];
    }
}

/// <summary>Reads TorchScript modules from the bytes of a file, and writes them.</summary>
static partial class TorchScriptFile
{
    /// <param name="path">The layer's path, for messages.</param>
    /// <param name="bytes">What <c>torch.jit.save</c> wrote.</param>
    /// <param name="device">Where the module's tensors are put.</param>
    /// <exception cref="InvalidDataException">The bytes are not a TorchScript module.</exception>
    public static torch.jit.ScriptModule<Tensor, Tensor> Load(
        string path, ImmutableArray<byte> bytes, torch.Device device)
    {
        try
        {
            return torch.jit.load<Tensor, Tensor>(
                ImmutableCollectionsMarshal.AsArray(bytes)!, device.type, device.index);
        }
        catch (ExternalException error)
        {
            throw new InvalidDataException($"Layer '{path}' is not a TorchScript module: {error.Message}", error);
        }
    }

    /// <remarks>TorchSharp saves only to a file, or to a buffer whose size must be suspects in advance.</remarks>
    public static ImmutableArray<byte> Save(torch.jit.ScriptModule module)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("torchscript-");
        try
        {
            // The name is always the same, since libtorch writes it into the file.
            string file = Path.Combine(folder.FullName, "module.pt");
            torch.jit.save(module, file);
            return ImmutableCollectionsMarshal.AsImmutableArray(File.ReadAllBytes(file));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Whether the module's code calls a convolution.</summary>
    public static bool HasConvolutions(ImmutableArray<byte> bytes)
    {
        using var archive = new ZipArchive(new MemoryStream(ImmutableCollectionsMarshal.AsArray(bytes)!));
        return archive.Entries.Where(entry => entry.Name.EndsWith(".py", StringComparison.Ordinal)).Any(entry =>
        {
            using var reader = new StreamReader(entry.Open());
            return Convolution().IsMatch(reader.ReadToEnd());
        });
    }

    [GeneratedRegex(@"\btorch\._?conv")]
    private static partial Regex Convolution();
}

/// <summary>
/// Tests oneDNN, with which libtorch computes convolutions on the CPU. A TorchScript module uses it; the engine's own
/// layers do not (see <see cref="CpuConvolution"/>).
/// </summary>
static class OneDnn
{
    /// <summary>Far above rounding errors. The wrong results that were seen are off by a tenth or more.</summary>
    const double Tolerance = 1e-3;

    // On some processors, oneDNN computes each of them wrongly.
    static readonly (int Channels, Conv2DLayer Layer)[] suspects =
    [
        (48, new(16, 2) { Stride = new(2, 1), Padding = 1, UseBias = false }),
        (20, new(50, 3) { UseBias = false }),
        (4, new(5, 2) { UseBias = false }),
    ];

    static readonly Lazy<bool> isRight = new(
        () => Array.TrueForAll(suspects, suspect => Agrees(suspect.Channels, suspect.Layer)));

    /// <summary>Whether this process computes correctly the convolutions that some processors get wrong.</summary>
    public static bool IsRight => isRight.Value;

    static bool Agrees(int channels, Conv2DLayer layer)
    {
        using var scope = torch.NewDisposeScope();
        var input = new TensorShape(channels, 6, 2 * layer.KernelSize.Width);
        var reference = new CpuConvolution(layer, input);
        Tensor kernel = Waves(layer.Filters, channels, layer.KernelSize.Height, layer.KernelSize.Width);
        long[] stride = [layer.Stride.Height, layer.Stride.Width];
        long[] padding = [layer.Padding.Top, layer.Padding.Left];
        (Tensor y, Tensor dx) = Run(x => F.conv2d(x, kernel, null, stride, padding));
        (Tensor expected, Tensor expectedDx) = Run(x => reference.Apply(x, kernel, null, padding));
        return AreClose(expected, y) && AreClose(expectedDx, dx);

        (Tensor, Tensor) Run(Func<Tensor, Tensor> convolve)
        {
            Tensor x = Waves(2, input[0], input[1], input[2]).requires_grad_();
            LeaveNaNInFreedMemory();
            Tensor y = convolve(x);
            LeaveNaNInFreedMemory();
            y.mul(y.detach()).sum().backward();
            return (y.detach(), x.grad!);
        }
    }

    /// <summary>Fills memory with NaN and frees it, so that reading memory before writing it gives NaN.</summary>
    static void LeaveNaNInFreedMemory()
    {
        using var scope = torch.NewDisposeScope();
        for (int length = 16; length <= 1 << 18; length *= 2)
        {
            for (int i = 0; i < 4; i++)
                torch.full([length], Scalars.Of(float.NaN), ScalarType.Float32, torch.CPU);
        }
    }

    static Tensor Waves(params long[] shape)
    {
        long count = shape.Aggregate(1L, (a, b) => a * b);
        Tensor counted = torch.arange(
            Scalars.Of(0), Scalars.Of(count), Scalars.One, ScalarType.Float32, torch.CPU);
        return counted.sin().reshape(shape);
    }

    static bool AreClose(Tensor expected, Tensor actual) =>
        expected.sub(actual).abs().max().le(expected.abs().max().mul(Scalars.Of(Tolerance))).item<bool>();
}
