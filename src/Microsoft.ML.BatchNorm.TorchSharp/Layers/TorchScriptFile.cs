using System.Collections.Immutable;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

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
