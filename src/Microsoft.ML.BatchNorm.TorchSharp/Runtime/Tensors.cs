using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>Copies values between tensors and plain memory.</summary>
static class Tensors
{
    /// <summary>A tensor on the device with a copy of the values.</summary>
    public static Tensor Upload<T>(ReadOnlySpan<T> values, torch.Device device, params long[] shape) where T : unmanaged
    {
        // The CPU must be named, since the process may have another default device.
        Tensor host = torch.empty(shape, TypeOf<T>(), torch.CPU);
        MemoryMarshal.AsBytes(values).CopyTo(host.bytes);
        if (device.type == DeviceType.CPU)
            return host;
        // The host's memory is not pinned, so CUDA has read it when copy_ returns. to() would wait for all of the
        // device's work as well.
        using (host)
            return torch.empty(shape, TypeOf<T>(), device).copy_(host, true);
    }

    /// <summary>A copy of a tensor's values, in row-major order.</summary>
    public static T[] Download<T>(Tensor tensor) where T : unmanaged
    {
        T[] values = new T[tensor.NumberOfElements];
        Download<T>(tensor, values);
        return values;
    }

    /// <inheritdoc cref="Download{T}(Tensor)"/>
    public static void Download<T>(Tensor tensor, Span<T> values) where T : unmanaged
    {
        using var scope = torch.NewDisposeScope();
        Tensor host = tensor.detach().to(TypeOf<T>(), torch.CPU).contiguous();
        MemoryMarshal.Cast<byte, T>(host.bytes).CopyTo(values);
    }

    /// <summary>The tensor, taken out of its dispose scope.</summary>
    public static Tensor Keep(Tensor tensor) => tensor.DetachFromDisposeScope();

    static ScalarType TypeOf<T>() =>
        typeof(T) == typeof(float) ? ScalarType.Float32
        : typeof(T) == typeof(double) ? ScalarType.Float64
        : typeof(T) == typeof(long) ? ScalarType.Int64
        : typeof(T) == typeof(bool) ? ScalarType.Bool
        : throw new NotSupportedException($"{typeof(T)} has no tensors here.");
}
