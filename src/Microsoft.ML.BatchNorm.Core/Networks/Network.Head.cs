using System.Diagnostics.Contracts;

namespace Microsoft.ML.BatchNorm;

public sealed partial class Network
{
    /// <summary>The place in <see cref="Nodes"/> of the last layer with a kernel.</summary>
    /// <exception cref="ArgumentException">There is no such layer.</exception>
    internal int HeadIndex
    {
        get
        {
            for (int i = Nodes.Count - 1; i >= 0; i--)
            {
                if (Nodes[i].Layer is DenseLayer or Conv2DLayer)
                    return i;
            }
            throw new ArgumentException("The network has no layer with a kernel, and so no head.");
        }
    }

    /// <summary>
    /// The network with its head, the last layer with a kernel, replaced by a fresh one of that many outputs: the same
    /// kind and options under a new name, so that <see cref="Initialize(NetworkState, int)"/> takes over all the
    /// others.
    /// </summary>
    /// <param name="outputs">The units of a dense head, the filters of a convolution.</param>
    /// <param name="name">The new layer's name; null for <c>head</c>, or <c>head_1</c> where that is taken.</param>
    /// <example>
    /// <code>
    /// Network mine = pretrained.WithHead(5);
    /// NetworkState state = mine.Initialize(pretrainedState, seed: 1);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">
    /// There is no layer with a kernel, the name is there already, or the layers behind the head cannot take its shape.
    /// </exception>
    [Pure]
    public Network WithHead(int outputs, string? name = null)
    {
        Check.Positive(outputs, nameof(outputs));
        string path = Nodes[HeadIndex].Path;
        HashSet<string> names = [.. Nodes.SelectMany(node => node.Path.Split('/'))];
        if (name is not null && names.Contains(name))
            throw new ArgumentException($"The network has a layer '{name}' already.", nameof(name));
        string head = name ?? "head";
        for (int i = 1; name is null && names.Contains(head); i++)
            head = $"head_{i}";
        return With(
            (other, layer) => layer switch
            {
                _ when other != path => layer,
                DenseLayer dense => dense with { Units = outputs, Name = head, Trainable = true },
                Conv2DLayer convolution => convolution with { Filters = outputs, Name = head, Trainable = true },
                _ => layer,
            },
            "");
    }
}
