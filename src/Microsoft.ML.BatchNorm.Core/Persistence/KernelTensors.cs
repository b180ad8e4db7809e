namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// A dense or convolutional layer's tensors, F32: the kernel, in Keras's layout or as it is here, and the bias.
/// </summary>
sealed class KernelTensors(NetworkNode node, string prefix, string name, KerasLayout? layout)
    : LayerTensors(node, prefix)
{
    readonly string kernel = prefix + name, bias = prefix + "bias";

    TensorShape Shape => Node.Tensors.First().Shape!;

    bool HasBias => Node.Tensors.Skip(1).Any();

    SafetensorsShape KernelShape => (layout, Shape.Rank) switch
    {
        (null, _) => SafetensorsShape.Of(Shape.Dimensions),
        (_, 2) => SafetensorsShape.Of(Shape[1], Shape[0]),
        _ => SafetensorsShape.Of(Shape[2], Shape[3], Shape[1], Shape[0]),
    };

    SafetensorsShape BiasShape => SafetensorsShape.Of(Shape[0]);

    public override IEnumerable<ExpectedTensor> Expected
    {
        get
        {
            yield return new(kernel, KernelShape);
            if (HasBias)
                yield return new(bias, BiasShape);
        }
    }

    public override LayerState Read(SafetensorsValues values)
    {
        float[] stored = values.Floats(kernel), biases = HasBias ? values.Floats(bias) : [];
        if ((LayerState.Fault<float>(stored, kernel) ?? LayerState.Fault<float>(biases, bias)) is { } fault)
            throw new InvalidDataException(fault);
        KeyValuePair<string, Array> first = new("kernel", layout?.FromKeras<float>(stored) ?? stored);
        return LayerState.OfTensors(HasBias ? [first, new("bias", biases)] : [first]);
    }

    public override IEnumerable<SafetensorsTensor> Write(LayerState state)
    {
        yield return new(
            kernel, "F32", KernelShape,
            sink => sink.WriteArray(layout is { } keras ? keras.ToKeras(state.Kernel) : state.Kernel));
        if (HasBias)
            yield return new(bias, "F32", BiasShape, sink => sink.WriteArray(state.Bias));
    }
}
