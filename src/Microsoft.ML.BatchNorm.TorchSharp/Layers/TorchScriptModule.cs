namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

/// <summary>A <see cref="TorchScriptLayer"/>, in inference mode whatever is asked for.</summary>
sealed class TorchScriptModule : LayerModule
{
    readonly TorchScriptLayer layer;
    readonly torch.jit.ScriptModule<Tensor, Tensor> module;

    /// <exception cref="NotSupportedException">The layer is to be trained.</exception>
    /// <exception cref="InvalidDataException">The bytes are no TorchScript module.</exception>
    public TorchScriptModule(NetworkNode node, TorchScriptLayer layer, torch.Device device) : base(node)
    {
        if (layer.Trainable)
            throw new NotSupportedException(
                $"Layer '{node.Path}' is a TorchScript module, whose parameters cannot be trained; freeze it.");
        this.layer = layer;
        module = Load(node.Path, layer, device);
        foreach (Tensor parameter in module.parameters())
            parameter.requires_grad = false;
        module.eval();
    }

    public override Tensor forward(Tensor x)
    {
        Tensor y = module.call(x);
        long[] row = [.. y.shape.Skip(1)];
        return row.SequenceEqual(layer.Output.Dimensions.ToArray().Select(d => (long)d))
            ? y
            : throw new InvalidDataException(
                $"Layer '{Path}' (TorchScript) gives rows of [{string.Join(", ", row)}] instead of {layer.Output}.");
    }

    // The module is in no field that TorchSharp would take for a child's, and stays as it was put.
    public override void train(bool train = true)
    {
    }

    protected override void RegisterComponents()
    {
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            module.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>TorchSharp reads modules from files alone, up to 0.99.</summary>
    static torch.jit.ScriptModule<Tensor, Tensor> Load(string path, TorchScriptLayer layer, torch.Device device)
    {
        string file = System.IO.Path.Combine(System.IO.Path.GetTempPath(), System.IO.Path.GetRandomFileName());
        File.WriteAllBytes(file, [.. layer.Module]);
        try
        {
            return torch.jit.load<Tensor, Tensor>(file, device.type, device.index);
        }
        catch (System.Runtime.InteropServices.ExternalException error)
        {
            throw new InvalidDataException($"Layer '{path}' is no TorchScript module: {error.Message}", error);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
