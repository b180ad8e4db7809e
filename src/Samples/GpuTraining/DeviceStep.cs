using System.Reflection;
using Microsoft.ML.BatchNorm.TorchSharp;

namespace GpuTraining;

/// <summary>Finds the device for libtorch.</summary>
static class DeviceStep
{
    /// <summary>The engine, or null if there is no libtorch.</summary>
    public static TorchEngine? Run()
    {
        Show.Heading(
            1, "The device",
            "A CUDA device, or else libtorch's CPU. With -p:Cuda=true, this sample is built with libtorch for CUDA.");
        TorchEngine? engine = Try("cuda", "No CUDA device") ?? Try("cpu", "No libtorch");
        if (engine is not null)
            ShowNeighbor(engine.Device);
        return engine;
    }

    static TorchEngine? Try(string device, string fault)
    {
        try
        {
            return new TorchEngine(device);
        }
        catch (InvalidOperationException error)
        {
            Show.Text($"{fault}: {error.Message}");
            return null;
        }
    }

    /// <summary>ML.NET's own trainers on TorchSharp can run in the same process, with the same libtorch.</summary>
    static void ShowNeighbor(string device)
    {
        AssemblyName torch = typeof(TorchSharp.torch).Assembly.GetName();
        AssemblyName neighbor = typeof(Microsoft.ML.TorchSharp.TorchSharpCatalog).Assembly.GetName();
        Show.Text(
            $"{torch.Name} {torch.Version} trains on '{device}'. {neighbor.Name} {neighbor.Version} is in this process "
            + "too, on the same one.");
    }
}
