namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// The parameters on the device. All trained parameters are slices of one vector, and their gradients are slices of
/// another. So an optimizer's step is a handful of operations, however many layers there are.
/// </summary>
sealed class ParameterVector : IDisposable
{
    readonly ParameterSlot[] all;
    Tensor? wide;

    public ParameterVector(IEnumerable<ParameterSlot> slots, torch.Device device)
    {
        all = [.. slots];
        Trained = [.. all.Where(slot => slot.IsTrained).OrderByDescending(slot => slot.IsKernel)];
        foreach (ParameterSlot slot in Trained)
        {
            slot.Offset = Length;
            Length += slot.Initial.Length;
            if (slot.IsKernel)
                KernelLength = Length;
        }
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        Values = Tensors.Keep(torch.empty([Length], ScalarType.Float32, device));
        Gradient = Tensors.Keep(torch.zeros([Length], ScalarType.Float32, device));
        foreach (ParameterSlot slot in all)
        {
            Tensor values = Tensors.Upload<float>(slot.Initial, device, slot.Shape);
            if (slot.IsTrained)
            {
                Tensor place = Slice(Values, slot);
                place.copy_(values);
                values = slot.Own?.set_(place) ?? place.detach();
                values.requires_grad = true;
                values.grad = Slice(Gradient, slot);
            }
            slot.Tensor = Tensors.Keep(values);
        }
    }

    /// <summary>The trained parameters in the order of the vector: kernels first.</summary>
    public ParameterSlot[] Trained { get; }

    /// <summary>The number of trained values.</summary>
    public long Length { get; }

    /// <summary>The number of trained values in kernels. They are the first in the vector.</summary>
    public long KernelLength { get; }

    /// <summary>All trained values.</summary>
    public Tensor Values { get; }

    /// <summary>The gradient that was taken last.</summary>
    public Tensor Gradient { get; }

    /// <summary>A parameter's slice of a vector as long as <see cref="Values"/>, in the parameter's shape.</summary>
    public static Tensor Slice(Tensor vector, ParameterSlot slot) =>
        vector.narrow(0, slot.Offset, slot.Initial.Length).reshape(slot.Shape);

    /// <summary>
    /// Computes the gradient of a loss, once. It is 0 for a parameter that the loss does not depend on.
    /// </summary>
    // By backward(), since an error of libtorch in TorchSharp's autograd.grad ends the process.
    public void TakeGradient(Tensor loss)
    {
        using (torch.no_grad())
            Gradient.zero_();
        loss.backward();
    }

    /// <summary>
    /// The norm of the gradient, computed in double. Call it inside a dispose scope and without gradients.
    /// </summary>
    public Tensor GradientNorm()
    {
        wide ??= Tensors.Keep(torch.empty_like(Gradient, ScalarType.Float64));
        return wide.copy_(Gradient).norm();
    }

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
        Gradient.Dispose();
        wide?.Dispose();
    }
}

/// <summary>One tensor that a layer learns, or uses without learning it.</summary>
/// <param name="path">The path of the layer and the tensor's name: <c>dense/kernel</c>.</param>
/// <param name="shape">Its dimensions.</param>
/// <param name="initial">Its values at the beginning.</param>
/// <param name="isTrained">Whether the optimizer changes it.</param>
/// <param name="own">The tensor of a TorchScript module, which then becomes a slice of the vector; or null.</param>
sealed class ParameterSlot(string path, long[] shape, float[] initial, bool isTrained, Tensor? own = null)
{
    /// <summary>A tensor in a layer's table.</summary>
    public ParameterSlot(string layerPath, TensorSpec spec, LayerState state)
        : this(
            $"{layerPath}/{spec.Name}", Array.ConvertAll(spec.Shape!.Dimensions.ToArray(), d => (long)d),
            state.Get<float>(spec.Name).ToArray(), spec.IsTrained) => Spec = spec;

    /// <summary>The tensor in the layer's table; null for one of a TorchScript module.</summary>
    public TensorSpec? Spec { get; }

    public string Path => path;

    /// <summary>The layer's own path.</summary>
    public string LayerPath => path[..path.LastIndexOf('/')];

    public long[] Shape => shape;

    public float[] Initial => initial;

    public bool IsTrained => isTrained;

    /// <summary>Whether it is a kernel. A kernel has more than one dimension; γ, β and biases have one.</summary>
    public bool IsKernel => shape.Length > 1;

    public Tensor? Own => own;

    /// <summary>Where its slice of the vector begins.</summary>
    public long Offset { get; set; }

    /// <summary>
    /// The tensor on the device; a slice of <see cref="ParameterVector.Values"/> if it is trained.
    /// </summary>
    public Tensor Tensor { get; set; } = null!;
}
