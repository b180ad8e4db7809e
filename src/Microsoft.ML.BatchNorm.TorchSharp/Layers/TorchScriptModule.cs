using System.Collections.Immutable;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Microsoft.ML.BatchNorm.TorchSharp.Runtime;
using Microsoft.ML.BatchNorm.TorchSharp.Training;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

/// <summary>
/// A <see cref="TorchScriptLayer"/>. Frozen, it is in inference mode whatever is asked for. Else all of its parameters
/// learn, which share the memory of the other layers', and it is in the mode that is asked for.
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
    /// The layer is to be trained, and has nothing that can be; or this CPU would compute its convolutions wrongly.
    /// </exception>
    /// <exception cref="InvalidDataException">The bytes are no TorchScript module.</exception>
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
        // TorchSharp's own, which it disposes of with the scope that is open now, or never.
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

    // The module is in no field that TorchSharp would take for a child's, and a frozen one stays as it was put.
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
    /// Written by a module of its own: this one's parameters are parts of a larger memory, which libtorch would write
    /// whole for each.
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

/// <summary>TorchScript modules from and to the bytes of a file.</summary>
static partial class TorchScriptFile
{
    /// <param name="path">The layer's, for messages.</param>
    /// <param name="bytes">What <c>torch.jit.save</c> wrote.</param>
    /// <param name="device">Where the module's tensors are put.</param>
    /// <exception cref="InvalidDataException">The bytes are no TorchScript module.</exception>
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
            throw new InvalidDataException($"Layer '{path}' is no TorchScript module: {error.Message}", error);
        }
    }

    /// <remarks>TorchSharp saves to a file or to a buffer whose size must be known.</remarks>
    public static ImmutableArray<byte> Save(torch.jit.ScriptModule module)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("torchscript-");
        try
        {
            // Always the same name, since libtorch writes it into the file.
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
