namespace Microsoft.ML.BatchNorm;

/// <summary>
/// One tensor that a stage learns or only uses: a slice of the memory of all parameters, and one at the same place in
/// that of the gradients and of each moment. What fills the slice up to whole vectors is 0 in each.
/// </summary>
/// <param name="node">The layer.</param>
/// <param name="spec">The tensor.</param>
/// <param name="room">The number of floats in the slice.</param>
unsafe class Parameter(NetworkNode node, TensorSpec spec, int room)
{
    readonly int size = spec.Shape!.Size;

    public Parameter(NetworkNode node, TensorSpec spec)
        : this(node, spec, Simd.RoundUp(spec.Shape!.Size))
    {
    }

    /// <summary>The path of the layer and the tensor's name: <c>dense/kernel</c>.</summary>
    public string Path { get; } = $"{node.Path}/{spec.Name}";

    public TensorSpec Spec => spec;

    public int Size => size;

    public int Room => room;

    /// <summary>Whether the optimizer changes it; only then has it a gradient.</summary>
    public bool IsTrained => spec.IsTrained;

    /// <summary>Where the slice begins in each memory.</summary>
    public int Offset { get; set; }

    public float* Value { get; set; }

    /// <summary>Null for a parameter that is not trained.</summary>
    public float* Gradient { get; set; }

    public Span<float> Values => new(Value, size);

    public Span<float> Gradients => new(Gradient, size);

    /// <summary>Copies a slice to the layout that a state has.</summary>
    public virtual void Read(float* slice, Span<float> values) => new ReadOnlySpan<float>(slice, size).CopyTo(values);

    /// <summary>Copies from that layout to a slice.</summary>
    public virtual void Write(ReadOnlySpan<float> values, float* slice) => values.CopyTo(new Span<float>(slice, size));

    public float[] ToArray()
    {
        float[] values = new float[size];
        Read(Value, values);
        return values;
    }
}

/// <summary>
/// A kernel <c>[units, inputs]</c> in the panels of its transpose's <see cref="PackedMatrix"/>: a product with it needs
/// no packing, and its gradient is formed where it belongs.
/// </summary>
sealed unsafe class KernelParameter(NetworkNode node, TensorSpec spec, int inputs, int units)
    : Parameter(node, spec, checked(inputs * Simd.RoundUp(units)))
{
    public int Panels => (units + PackedMatrix.PanelColumns - 1) / PackedMatrix.PanelColumns;

    /// <summary>The units of a panel.</summary>
    public int UnitsOf(int panel) => Math.Min(PackedMatrix.PanelColumns, units - panel * PackedMatrix.PanelColumns);

    /// <summary>The floats from one input's row of a panel to the next.</summary>
    public int WidthOf(int panel) => Simd.RoundUp(UnitsOf(panel));

    /// <summary>Where a panel begins in a slice.</summary>
    public nint Start(int panel) => (nint)panel * PackedMatrix.PanelColumns * inputs;

    public override void Read(float* slice, Span<float> values)
    {
        for (int unit = 0; unit < units; unit++)
        {
            float* column = Column(slice, unit, out int width);
            Span<float> row = values.Slice(unit * inputs, inputs);
            for (int i = 0; i < row.Length; i++)
                row[i] = column[(nint)i * width];
        }
    }

    public override void Write(ReadOnlySpan<float> values, float* slice)
    {
        for (int unit = 0; unit < units; unit++)
        {
            float* column = Column(slice, unit, out int width);
            ReadOnlySpan<float> row = values.Slice(unit * inputs, inputs);
            for (int i = 0; i < row.Length; i++)
                column[(nint)i * width] = row[i];
        }
    }

    float* Column(float* slice, int unit, out int width)
    {
        int panel = unit / PackedMatrix.PanelColumns;
        width = WidthOf(panel);
        return slice + Start(panel) + unit % PackedMatrix.PanelColumns;
    }
}
