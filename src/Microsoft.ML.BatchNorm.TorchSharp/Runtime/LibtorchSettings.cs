using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Sets the number of threads on which libtorch computes for the calling thread, until this is disposed of.
/// </summary>
readonly struct CpuThreads : IDisposable
{
    readonly int before, now;

    public CpuThreads(torch.Device device, int threads)
    {
        if (device.type != DeviceType.CPU)
            return;
        (before, now) = (torch.get_num_threads(), threads);
        if (now != before)
            torch.set_num_threads(now);
    }

    public void Dispose()
    {
        if (now != before)
            torch.set_num_threads(before);
    }
}

/// <summary>
/// Turns TF32 off, in which a GPU rounds the factors of float32 products to ten bits. libtorch allows it in
/// convolutions. The switches belong to the process: the first instance turns them off, and the last one that is
/// disposed of restores them.
/// </summary>
sealed class FullFloat32 : IDisposable
{
    static readonly Lock gate = new();
    static int open;
    static bool convolutions, products;

    bool isDisposed;

    public FullFloat32()
    {
        lock (gate)
        {
            if (open++ > 0)
                return;
            (convolutions, products) = (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32);
            Allow(false, false);
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            if (isDisposed)
                return;
            isDisposed = true;
            if (--open == 0)
                Allow(convolutions, products);
        }
    }

    static void Allow(bool convolutions, bool products) =>
        (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) = (convolutions, products);
}
