using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

public sealed partial class Network
{
    /// <summary>
    /// A network of one frozen <see cref="TorchScriptLayer"/>, to which a head can be added:
    /// <c>FromTorchScript("base.pt", new(3, 224, 224), new(512)).Dense(10)</c>. It is trained and used by the engine on
    /// TorchSharp alone; <c>Unfreeze("torch_script")</c> lets it learn too.
    /// </summary>
    /// <param name="path">A file that <c>torch.jit.save</c> wrote; it is read whole.</param>
    /// <param name="input">The shape of a row that goes in, without the batch.</param>
    /// <param name="output">The shape of a row that comes out.</param>
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
}
