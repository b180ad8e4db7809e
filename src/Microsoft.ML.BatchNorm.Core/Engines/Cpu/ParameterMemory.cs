namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The values of all parameters, one after the other, and the gradients of those that are trained. Trained parameters
/// come first, and of these the kernels, so that the optimizer can change them, and decay the kernels, in one pass. A
/// parameter's gradient has the same offset as its value.
/// </summary>
sealed unsafe class ParameterMemory
{
    readonly AlignedMemory<float> values, gradients;

    public ParameterMemory(IEnumerable<Parameter> parameters)
    {
        All =
        [
            .. parameters.OrderByDescending(parameter => parameter.IsTrained)
                .ThenByDescending(parameter => parameter.Spec.Role == TensorRole.Kernel),
        ];
        long length = 0;
        foreach (Parameter parameter in All)
        {
            parameter.Offset = checked((int)length);
            length += parameter.Room;
            if (parameter.IsTrained)
                TrainedLength = checked((int)length);
            if (parameter is { IsTrained: true, Spec.Role: TensorRole.Kernel })
                KernelLength = TrainedLength;
        }
        values = new AlignedMemory<float>(length);
        gradients = new AlignedMemory<float>(TrainedLength);
        foreach (Parameter parameter in All)
        {
            parameter.Value = values.Start + parameter.Offset;
            parameter.Gradient = parameter.IsTrained ? gradients.Start + parameter.Offset : null;
        }
    }

    public IReadOnlyList<Parameter> All { get; }

    public IEnumerable<Parameter> Trained => All.Where(parameter => parameter.IsTrained);

    /// <summary>The number of floats that are trained. They come first.</summary>
    public int TrainedLength { get; }

    /// <summary>The number of floats of trained kernels. They come first among those that are trained.</summary>
    public int KernelLength { get; }

    public float* Values => values.Start;

    public float* Gradients => gradients.Start;
}
