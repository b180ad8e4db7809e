using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp.Runtime;

/// <summary>
/// The number of threads that libtorch's CPU computes on for the thread that calls, until this is disposed of.
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
