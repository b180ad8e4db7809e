using System.Globalization;
using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>Finds and names the input that is NaN or infinite.</summary>
static class NonFiniteInput
{
    /// <summary>Throws where a kept value is not finite, naming channel, row and value.</summary>
    public static void ThrowIfAny<T>(
        ChannelLayout layout, ReadOnlySpan<T> values, ReadOnlySpan<bool> mask, string name) where T : unmanaged
    {
        int index = First(layout, values, mask);
        if (index < 0)
            return;
        throw new InvalidDataException(string.Create(
            CultureInfo.InvariantCulture,
            $"The argument {name} is not finite: channel {layout.ChannelOf(index)}, row {layout.RowOf(index)} has "
            + $"{values[index]}."));
    }

    static int First<T>(ChannelLayout layout, ReadOnlySpan<T> values, ReadOnlySpan<bool> mask) where T : unmanaged
    {
        int vector = Vector512<T>.Count;
        for (int i = 0; i < values.Length; i++)
        {
            while (i <= values.Length - vector && Lanes.AreFinite(Vector512.Create(values.Slice(i, vector))))
                i += vector;
            if (i < values.Length && !Lanes.IsFinite(values[i]) && (mask.IsEmpty || mask[layout.PositionOf(i)]))
                return i;
        }
        return -1;
    }
}
