using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A kernel <c>[units, inputs]</c> in the panels of its transpose's <see cref="PackedMatrix"/>: a product with it needs
/// no packing, and its gradient is formed where it belongs.
/// </summary>
sealed unsafe class KernelParameter(NetworkNode node, TensorSpec spec, int inputs, int units)
    : Parameter(node, spec, checked(inputs * Vectors.RoundUp(units)))
{
    public int Panels => (units + PackedMatrix.PanelColumns - 1) / PackedMatrix.PanelColumns;

    /// <summary>The units of a panel.</summary>
    public int UnitsOf(int panel) => Math.Min(PackedMatrix.PanelColumns, units - panel * PackedMatrix.PanelColumns);

    /// <summary>The floats from one input's row of a panel to the next.</summary>
    public int WidthOf(int panel) => Vectors.RoundUp(UnitsOf(panel));

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
