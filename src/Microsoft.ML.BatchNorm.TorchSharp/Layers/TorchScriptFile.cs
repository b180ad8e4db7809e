using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

/// <summary>TorchScript modules from and to bytes. TorchSharp reads bytes, and writes files alone.</summary>
static class TorchScriptFile
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

    public static ImmutableArray<byte> Save(torch.jit.ScriptModule module)
    {
        using var folder = new Folder();
        torch.jit.save(module, folder.File);
        return ImmutableCollectionsMarshal.AsImmutableArray(File.ReadAllBytes(folder.File));
    }

    /// <summary>A folder for one file, whose name is always the same since libtorch writes it into the file.</summary>
    readonly struct Folder() : IDisposable
    {
        readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("torchscript-");

        public string File => Path.Combine(folder.FullName, "module.pt");

        public void Dispose() => folder.Delete(recursive: true);
    }
}
