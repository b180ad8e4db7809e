using System.Collections.Immutable;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// A <see cref="TorchScriptLayer"/>. A frozen one is always in inference mode. In one that is trained, all parameters
/// learn, and they lie in the same vector as those of the other layers.
/// </summary>
sealed class TorchScriptModule : LayerModule
{
    readonly TorchScriptLayer layer;
    readonly LayerState? known;
    readonly torch.jit.ScriptModule<Tensor, Tensor> module;
    readonly ImmutableArray<(string Name, Tensor Tensor)> ownParameters;
    readonly ImmutableArray<Tensor> ownBuffers;
    readonly ParameterSlot[] slots;
    ImmutableArray<Tensor> buffersBefore = [];
    bool hasLearned;

    /// <exception cref="NotSupportedException">
    /// The layer is trained and has nothing to learn, or libtorch computes its convolutions wrongly on this CPU.
    /// </exception>
    /// <exception cref="InvalidDataException">The bytes are not a TorchScript module.</exception>
    public TorchScriptModule(NetworkNode node, TorchScriptLayer layer, LayerState? state, torch.Device device)
        : base(node)
    {
        this.layer = layer;
        known = state;
        module = TorchScriptFile.Load(node.Path, Bytes, device);
        if (device.type == DeviceType.CPU && TorchScriptFile.HasConvolutions(Bytes) && !OneDnn.IsRight)
        {
            module.Dispose();
            throw new NotSupportedException(
                $"Layer '{node.Path}' is a TorchScript module with convolutions, and libtorch computes those wrongly "
                + "on this processor. Set the environment variable ONEDNN_MAX_CPU_ISA to SSE41 before the process "
                + "starts, or use a GPU.");
        }
        // TorchSharp would dispose of them with the scope that is open now.
        ownParameters = [.. module.named_parameters().Select(entry => (entry.name, Tensors.Keep(entry.parameter)))];
        ownBuffers = [.. module.buffers().Select(Tensors.Keep)];
        slots = layer.Trainable ? Trained() : [];
        foreach ((_, Tensor parameter) in ownParameters)
            parameter.requires_grad = layer.Trainable;
        module.train(layer.Trainable);
    }

    public override IEnumerable<ParameterSlot> Slots => slots;

    public override Tensor forward(Tensor x)
    {
        Tensor y = module.call(x);
        long[] row = [.. y.shape.Skip(1)];
        return row.SequenceEqual(layer.Output.Dimensions.ToArray().Select(d => (long)d))
            ? y
            : throw new InvalidDataException(
                $"Layer '{Path}' (TorchScript) gives rows of [{string.Join(", ", row)}] instead of {layer.Output}.");
    }

    // RegisterComponents does nothing, so the module is not a child for TorchSharp, and base.train() does not reach it.
    public override void train(bool train = true)
    {
        base.train(train);
        if (layer.Trainable)
            module.train(train);
    }

    public override void BeginStep()
    {
        if (!layer.Trainable)
            return;
        Forget();
        hasLearned = true;
        buffersBefore = [.. ownBuffers.Select(buffer => Tensors.Keep(buffer.clone()))];
    }

    public override void UndoStep()
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((Tensor now, Tensor before) in ownBuffers.Zip(buffersBefore))
            now.copy_(before);
    }

    /// <remarks>
    /// Copies the values to a second module and writes that one. The parameters of this one are slices of a large
    /// vector, and libtorch would write the whole vector for each of them.
    /// </remarks>
    public override LayerState? StateNow(IReadOnlyDictionary<string, float[]> values)
    {
        if (!hasLearned)
            return known;
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        using torch.jit.ScriptModule<Tensor, Tensor> copy = TorchScriptFile.Load(Path, Bytes, torch.CPU);
        foreach ((Tensor to, Tensor from) in copy.parameters().Zip(ownParameters.Select(entry => entry.Tensor)))
            to.copy_(from);
        foreach ((Tensor to, Tensor from) in copy.buffers().Zip(ownBuffers))
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
            Forget();
            foreach (Tensor tensor in ownBuffers.AddRange(ownParameters.Select(entry => entry.Tensor)))
                tensor.Dispose();
            // Disposing makes new tensors, of the modules in it.
            using var scope = torch.NewDisposeScope();
            module.Dispose();
        }
        base.Dispose(disposing);
    }

    ImmutableArray<byte> Bytes => known?.TorchScript ?? layer.Module;

    ParameterSlot[] Trained()
    {
        ParameterSlot[] trained = [.. ownParameters.Select(entry => Slot(entry.Name, entry.Tensor))];
        return trained.Length > 0
            ? trained
            : throw new NotSupportedException(
                $"Layer '{Path}' is a TorchScript module without parameters, as torch.jit.freeze leaves it, which "
                + "cannot be trained; freeze it.");
    }

    ParameterSlot Slot(string name, Tensor parameter) => parameter.dtype == ScalarType.Float32
        ? new($"{Path}/{name}", parameter.shape, Tensors.Download<float>(parameter), isTrained: true, parameter)
        : throw new NotSupportedException(
            $"Layer '{Path}' is a TorchScript module whose '{name}' is {parameter.dtype}; only Float32 is trained.");

    void Forget()
    {
        foreach (Tensor before in buffersBefore)
            before.Dispose();
        buffersBefore = [];
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

    /// <remarks>TorchSharp saves to a file, or to a buffer whose size must be known before.</remarks>
    public static ImmutableArray<byte> Save(torch.jit.ScriptModule module)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("torchscript-");
        try
        {
            // The name must always be the same, since libtorch writes it into the file.
            string file = Path.Combine(folder.FullName, "module.pt");
            torch.jit.save(module, file);
            return ImmutableCollectionsMarshal.AsImmutableArray(File.ReadAllBytes(file));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Whether the code of a module calls a convolution.</summary>
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
