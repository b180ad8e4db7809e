namespace Microsoft.ML.BatchNorm;

/// <summary>
/// One tensor that a stage uses, trained or not. Its values are a slice of the memory of all parameters. If it is
/// trained, its gradient and each moment of the optimizer are slices at the same offset in memories of their own.
/// Slices are padded to whole vectors, and the padding is zero in all of them.
/// </summary>
/// <param name="node">The layer.</param>
/// <param name="spec">The tensor.</param>
/// <param name="room">The number of floats in the slice, with its padding.</param>
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

    /// <summary>Whether the optimizer changes it; only then does it have a gradient.</summary>
    public bool IsTrained => spec.IsTrained;

    /// <summary>Where the slice begins in each memory.</summary>
    public int Offset { get; set; }

    public float* Value { get; set; }

    /// <summary>Null for a parameter that is not trained.</summary>
    public float* Gradient { get; set; }

    public Span<float> Values => new(Value, size);

    public Span<float> Gradients => new(Gradient, size);

    /// <summary>Copies a slice to an array in the layout of a state.</summary>
    public virtual void Read(float* slice, Span<float> values) => new ReadOnlySpan<float>(slice, size).CopyTo(values);

    /// <summary>Copies an array in the layout of a state to a slice.</summary>
    public virtual void Write(ReadOnlySpan<float> values, float* slice) => values.CopyTo(new Span<float>(slice, size));

    public float[] ToArray()
    {
        float[] values = new float[size];
        Read(Value, values);
        return values;
    }
}

/// <summary>
/// A kernel <c>[units, inputs]</c>, stored as the panels of the <see cref="PackedMatrix"/> of its transpose. A product
/// with it needs no packing, and its gradient has the same layout.
/// </summary>
sealed unsafe class KernelParameter(NetworkNode node, TensorSpec spec, int inputs, int units)
    : Parameter(node, spec, checked(inputs * Simd.RoundUp(units)))
{
    public int Panels => (units + PackedMatrix.PanelColumns - 1) / PackedMatrix.PanelColumns;

    /// <summary>The number of units in a panel.</summary>
    public int UnitsOf(int panel) => Math.Min(PackedMatrix.PanelColumns, units - panel * PackedMatrix.PanelColumns);

    /// <summary>The number of floats from one row of a panel to the next; a row has the weights of one input.</summary>
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
