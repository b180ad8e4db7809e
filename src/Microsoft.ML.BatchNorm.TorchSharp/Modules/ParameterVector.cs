namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// The parameters on the device. All trained parameters are slices of one vector, and their gradients are slices of
/// another. So an optimizer needs only a few operations per step, however many layers there are.
/// </summary>
sealed class ParameterVector : IDisposable
{
    readonly DeviceParameter[] all;
    Tensor? gradientInDouble;

    public ParameterVector(IEnumerable<DeviceParameter> parameters, torch.Device device)
    {
        all = [.. parameters];
        Trained = [.. all.Where(parameter => parameter.IsTrained).OrderByDescending(parameter => parameter.IsKernel)];
        foreach (DeviceParameter parameter in Trained)
        {
            parameter.Offset = Length;
            Length += parameter.Initial.Length;
            if (parameter.IsKernel)
                KernelLength = Length;
        }
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        Values = Tensors.Keep(torch.empty([Length], ScalarType.Float32, device));
        Gradient = Tensors.Keep(torch.zeros([Length], ScalarType.Float32, device));
        foreach (DeviceParameter parameter in all)
        {
            Tensor values = Tensors.Upload<float>(parameter.Initial, device, parameter.Shape);
            if (parameter.IsTrained)
            {
                Tensor slice = parameter.SliceOf(Values);
                slice.copy_(values);
                values = parameter.ScriptTensor?.set_(slice) ?? slice.detach();
                values.requires_grad = true;
                values.grad = parameter.SliceOf(Gradient);
            }
            parameter.Tensor = Tensors.Keep(values);
        }
    }

    /// <summary>The trained parameters in the order of the vector: kernels first.</summary>
    public DeviceParameter[] Trained { get; }

    /// <summary>The number of trained values.</summary>
    public long Length { get; }

    /// <summary>The number of trained values in kernels. They come first in the vector.</summary>
    public long KernelLength { get; }

    /// <summary>All trained values.</summary>
    public Tensor Values { get; }

    /// <summary>The gradient that <see cref="ComputeGradient"/> computed last.</summary>
    public Tensor Gradient { get; }

    /// <summary>
    /// Computes the gradient of a loss, once per loss. It is 0 for a parameter that the loss does not depend on.
    /// </summary>
    /// <param name="loss">The loss.</param>
    /// <param name="retainGraph">Whether the graph stays, and the loss may depend on no parameter.</param>
    // By backward(): in TorchSharp's autograd.grad(), an error of libtorch ends the process.
    public void ComputeGradient(Tensor loss, bool retainGraph = false)
    {
        using (torch.no_grad())
            Gradient.zero_();
        // A rank without rows has a loss that depends on nothing.
        if (!retainGraph || loss.requires_grad)
            loss.backward(retain_graph: retainGraph);
    }

    /// <summary>
    /// The norm of the gradient, computed in double. Call it inside a dispose scope and without gradients.
    /// </summary>
    public Tensor GradientNorm()
    {
        gradientInDouble ??= Tensors.Keep(torch.empty_like(Gradient, ScalarType.Float64));
        return gradientInDouble.copy_(Gradient).norm();
    }

    /// <summary>The values of each parameter, by its path.</summary>
    public IReadOnlyDictionary<string, float[]> Read()
    {
        float[] values = Tensors.Download<float>(Values);
        return all.ToDictionary(
            parameter => parameter.Path,
            parameter => parameter.IsTrained ? parameter.SliceOf(values).ToArray() : parameter.Initial,
            StringComparer.Ordinal);
    }

    public void Dispose()
    {
        foreach (DeviceParameter parameter in all)
            parameter.Tensor.Dispose();
        Values.Dispose();
        Gradient.Dispose();
        gradientInDouble?.Dispose();
    }
}

/// <summary>A tensor on the device that a layer learns, or would learn if it were not frozen.</summary>
/// <param name="path">The path of the layer and the tensor's name: <c>dense/kernel</c>.</param>
/// <param name="shape">Its dimensions.</param>
/// <param name="initial">Its values at the beginning.</param>
/// <param name="isTrained">Whether the optimizer changes it.</param>
/// <param name="scriptTensor">
/// If it belongs to a TorchScript module, the module's own tensor, which then becomes a slice of the vector; otherwise
/// null.
/// </param>
sealed class DeviceParameter(string path, long[] shape, float[] initial, bool isTrained, Tensor? scriptTensor = null)
{
    /// <summary>Makes a parameter of a tensor in a layer's table.</summary>
    public DeviceParameter(string layerPath, TensorSpec spec, LayerState state)
        : this(
            $"{layerPath}/{spec.Name}", Array.ConvertAll(spec.Shape!.Dimensions.ToArray(), d => (long)d),
            state.Get<float>(spec.Name).ToArray(), spec.IsTrained) => Spec = spec;

    /// <summary>Its entry in the layer's table; null if it belongs to a TorchScript module.</summary>
    public TensorSpec? Spec { get; }

    public string Path => path;

    /// <summary>The path of the layer.</summary>
    public string LayerPath => path[..path.LastIndexOf('/')];

    public long[] Shape => shape;

    public float[] Initial => initial;

    public bool IsTrained => isTrained;

    /// <summary>Whether it is a kernel. A kernel has more than one dimension; γ, β and biases have one.</summary>
    public bool IsKernel => shape.Length > 1;

    public Tensor? ScriptTensor => scriptTensor;

    /// <summary>Where its slice of the vector begins, if it is trained.</summary>
    public long Offset { get; set; }

    /// <summary>
    /// The tensor on the device; a slice of <see cref="ParameterVector.Values"/> if it is trained.
    /// </summary>
    public Tensor Tensor { get; set; } = null!;

    /// <summary>
    /// Its slice, in its shape, of a vector that is laid out as <see cref="ParameterVector.Values"/>.
    /// </summary>
    public Tensor SliceOf(Tensor vector) => vector.narrow(0, Offset, initial.Length).reshape(shape);

    /// <summary>Its slice of values that were copied from such a vector.</summary>
    public ReadOnlySpan<float> SliceOf(float[] vector) => vector.AsSpan((int)Offset, initial.Length);
}
