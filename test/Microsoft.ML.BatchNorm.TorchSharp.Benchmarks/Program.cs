using Microsoft.ML.BatchNorm.TorchSharp;
using Microsoft.ML.BatchNorm.TorchSharp.Benchmarks;

// The speed of the engine on TorchSharp: on the device named, else on a GPU, else on libtorch's CPU.
if ((args is [var name] ? Named(name) : Named("cuda") ?? Named("cpu")) is not { } device)
    return 1;
Console.WriteLine($"On '{device}'; medians of rounds that alternate.");
NormalizationTable.Print(device);
NetworkTable.Print(device);
return 0;

// The device, or null where it cannot be had, which is said.
static string? Named(string device)
{
    try
    {
        return new TorchEngine(device).Device;
    }
    catch (InvalidOperationException error)
    {
        Console.WriteLine(error.Message);
        return null;
    }
}
