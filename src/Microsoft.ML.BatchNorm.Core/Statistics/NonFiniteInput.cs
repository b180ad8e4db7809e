using System.Globalization;

namespace Microsoft.ML.BatchNorm;

/// <summary>Finds and names the input that made a result not finite.</summary>
static class NonFiniteInput
{
    /// <summary>The index of the first kept value that is NaN or infinite, or −1.</summary>
    public static int First<T>(ChannelLayout layout, ReadOnlySpan<T> values, ReadOnlySpan<bool> mask) where T : unmanaged
    {
        for (int i = 0; i < values.Length; i++)
        {
            if (!double.IsFinite(Kernels.Wide.ToDouble(values[i])) && (mask.IsEmpty || mask[layout.PositionOf(i)]))
                return i;
        }
        return -1;
    }

    public static InvalidDataException At<T>(ChannelLayout layout, ReadOnlySpan<T> values, int index, string name)
        where T : unmanaged =>
        new(string.Create(
            CultureInfo.InvariantCulture,
            $"{name} is not finite: channel {layout.ChannelOf(index)}, row {layout.RowOf(index)} has {values[index]}."));

    /// <summary>The error for kept values of which one is not finite, or, where none is, whose sums overflow.</summary>
    public static InvalidDataException Error<T>(
        ChannelLayout layout, ReadOnlySpan<T> values, ReadOnlySpan<bool> mask, string name) where T : unmanaged
    {
        int index = First(layout, values, mask);
        return index >= 0
            ? At(layout, values, index, name)
            : new InvalidDataException($"{name} has values whose sum overflows a double.");
    }
}
