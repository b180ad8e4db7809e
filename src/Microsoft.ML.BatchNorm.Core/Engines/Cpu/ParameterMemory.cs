namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The values of all parameters behind each other, those that are trained first, kernels before others, and their
/// gradients at the same places: the optimizer goes through them in one pass.
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

    /// <summary>The floats that are trained: the first ones.</summary>
    public int TrainedLength { get; }

    /// <summary>The floats of the kernels that are trained: the first ones of those.</summary>
    public int KernelLength { get; }

    public float* Values => values.Start;

    public float* Gradients => gradients.Start;
}
