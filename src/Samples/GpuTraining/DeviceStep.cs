using Microsoft.ML.BatchNorm.TorchSharp;

namespace GpuTraining;

/// <summary>Finds out where libtorch can work.</summary>
static class DeviceStep
{
    /// <summary>The name of the device, or null where there is no libtorch at all.</summary>
    public static string? Run()
    {
        Show.Heading(1, "The device", "The GPU that a context asks for, or else libtorch's CPU.");
        string? device = Try("cuda") ?? Try("cpu");
        if (device is not null)
            Show.Text($"Networks are trained on '{device}'.");
        ShowNeighbor();
        return device;
    }

    static string? Try(string device)
    {
        try
        {
            return new TorchEngine(device).Device;
        }
        catch (InvalidOperationException error)
        {
            Show.Text($"Not on '{device}': {error.Message}");
            return null;
        }
    }

    /// <summary>ML.NET's own trainers on TorchSharp are in the same process, on the same libtorch.</summary>
    static void ShowNeighbor()
    {
        System.Reflection.AssemblyName torch = typeof(TorchSharp.torch).Assembly.GetName();
#if MLNET_TORCHSHARP
        System.Reflection.AssemblyName neighbor =
            typeof(Microsoft.ML.TorchSharp.TorchSharpCatalog).Assembly.GetName();
        Show.Text(
            $"{neighbor.Name} {neighbor.Version} is in this process too, on the same {torch.Name} {torch.Version}.");
#else
        Show.Text($"{torch.Name} {torch.Version} is in this process, without Microsoft.ML.TorchSharp.");
#endif
    }
}
