using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>
/// The parameters on the device. All that are trained lie behind each other in one vector, so that an optimizer's step
/// is a handful of operations however many layers there are.
/// </summary>
sealed class ParameterVector : IDisposable
{
    readonly ParameterSlot[] all;

    public ParameterVector(IEnumerable<ParameterSlot> slots, torch.Device device)
    {
        all = [.. slots];
        Trained = [.. all.Where(slot => slot.IsTrained)];
        foreach (ParameterSlot slot in Trained)
        {
            slot.Offset = Length;
            Length += slot.Initial.Length;
        }
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        Values = Tensors.Keep(torch.empty([Length], ScalarType.Float32, device));
        foreach (ParameterSlot slot in all)
        {
            Tensor values = Tensors.Upload<float>(slot.Initial, device, slot.Shape);
            if (slot.IsTrained)
            {
                Tensor place = Slice(Values, slot);
                place.copy_(values);
                values = slot.Own?.set_(place) ?? place.detach();
                values.requires_grad = true;
            }
            slot.Tensor = Tensors.Keep(values);
        }
        Leaves = Array.ConvertAll(Trained, slot => slot.Tensor);
    }

    /// <summary>Those that the optimizer changes, in the order of the vector.</summary>
    public ParameterSlot[] Trained { get; }

    /// <summary>Their tensors, of which gradients are taken.</summary>
    public Tensor[] Leaves { get; }

    /// <summary>The number of values that are trained.</summary>
    public long Length { get; }

    /// <summary>All trained values.</summary>
    public Tensor Values { get; }

    /// <summary>A parameter's part of a vector as long as <see cref="Values"/>, in its own shape.</summary>
    public static Tensor Slice(Tensor vector, ParameterSlot slot) =>
        vector.narrow(0, slot.Offset, slot.Initial.Length).reshape(slot.Shape);

    /// <summary>The values of each parameter, by its path.</summary>
    public IReadOnlyDictionary<string, float[]> Read()
    {
        float[] values = Tensors.Download<float>(Values);
        return all.ToDictionary(
            slot => slot.Path,
            slot => slot.IsTrained ? values.AsSpan((int)slot.Offset, slot.Initial.Length).ToArray() : slot.Initial,
            StringComparer.Ordinal);
    }

    public void Dispose()
    {
        foreach (ParameterSlot slot in all)
            slot.Tensor.Dispose();
        Values.Dispose();
    }
}
