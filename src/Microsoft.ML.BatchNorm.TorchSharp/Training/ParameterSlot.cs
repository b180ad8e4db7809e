namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>One tensor that a layer learns or only uses.</summary>
/// <param name="path">The path of the layer and the tensor's name: <c>dense/kernel</c>.</param>
/// <param name="shape">Its dimensions.</param>
/// <param name="initial">Its values at the beginning.</param>
/// <param name="isTrained">Whether the optimizer changes it.</param>
/// <param name="own">The tensor of a module that knows no other, or null.</param>
sealed class ParameterSlot(string path, long[] shape, float[] initial, bool isTrained, Tensor? own = null)
{
    /// <summary>One of the tensors that a layer of this library has.</summary>
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

    /// <summary>Whether it is a kernel, which has more than one dimension, unlike γ, β and biases.</summary>
    public bool IsKernel => shape.Length > 1;

    public Tensor? Own => own;

    /// <summary>Where it begins among all that are trained.</summary>
    public long Offset { get; set; }

    /// <summary>
    /// The tensor on the device; a trained one shares the memory of <see cref="ParameterVector.Values"/>.
    /// </summary>
    public Tensor Tensor { get; set; } = null!;
}
