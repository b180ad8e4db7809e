using System.Runtime.InteropServices;
using Microsoft.ML.BatchNorm.TorchSharp;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>libtorch, where there is one.</summary>
static class Libtorch
{
    static readonly Lazy<string> problem = new(() =>
    {
        string reason = ProblemOf("cpu");
        if (reason.Length == 0)
        {
            SilenceWarnings();
            KeepMemory();
        }
        return reason;
    });
    static readonly Lazy<string> cudaProblem = new(() => ProblemOf("cuda"));

    /// <summary>Why there is none; empty where it can be used.</summary>
    public static string Problem => problem.Value;

    /// <summary>A GPU where libtorch can use one, or the CPU.</summary>
    public static string Device => cudaProblem.Value.Length == 0 ? "cuda:0" : "cpu";

    /// <summary>"cuda:0", "libtorch's CPU on 1 thread".</summary>
    public static string Place(string device) => device == "cpu" ? "libtorch's CPU on 1 thread" : device;

    /// <summary>
    /// Has libtorch take one thread where it computes on the CPU, as small networks train fastest there, and all beside
    /// a device.
    /// </summary>
    public static int TakeThreads(string device)
    {
        int threads = device == "cpu" ? 1 : Environment.ProcessorCount;
        torch.set_num_threads(threads);
        return threads;
    }

    /// <summary>Makes a peer, and has libtorch take so many threads; null without libtorch.</summary>
    public static T? OnThreads<T>(int threads, Func<T> make) where T : class
    {
        if (Problem.Length > 0)
            return null;
        torch.set_num_threads(threads);
        return make();
    }

    /// <summary>Waits until a device has done what it was given.</summary>
    public static void Wait(string device)
    {
        if (device != "cpu")
            torch.cuda.synchronize(new torch.Device(device));
    }

    /// <summary>
    /// Raises libtorch's log level to errors. Where NNPACK does not run, each convolution would write a warning, in the
    /// time that is measured.
    /// </summary>
    static unsafe void SilenceWarnings()
    {
        if (NativeLibrary.TryLoad("c10", typeof(torch).Assembly, null, out nint library)
            && NativeLibrary.TryGetExport(library, "FLAGS_caffe2_log_level", out nint level))
        {
            *(int*)level = 2;
        }
    }

    /// <summary>
    /// Has glibc keep what libtorch frees. Otherwise each large tensor is new memory from the system, which can take
    /// longer than what is measured.
    /// </summary>
    static unsafe void KeepMemory()
    {
        const int TrimThreshold = -1, MappedBlocks = -4;
        if (NativeLibrary.TryLoad("libc.so.6", out nint library)
            && NativeLibrary.TryGetExport(library, "mallopt", out nint function))
        {
            var set = (delegate* unmanaged<int, int, int>)function;
            _ = set(TrimThreshold, int.MaxValue);
            _ = set(MappedBlocks, 0);
        }
    }

    /// <summary>Why the engine cannot use a device; empty where it can.</summary>
    public static string ProblemOf(string device)
    {
        try
        {
            _ = new TorchEngine(device);
            return "";
        }
        catch (InvalidOperationException error)
        {
            return error.Message;
        }
    }
}
