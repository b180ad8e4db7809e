using Microsoft.ML.BatchNorm.TorchSharp;
using Microsoft.ML.BatchNorm.TorchSharp.Benchmarks;

// The speed of the engine on TorchSharp: on the device named, else on a GPU, else on libtorch's CPU.
string device = args is [var name] ? name : FirstDevice();
Console.WriteLine($"On '{device}'; medians of rounds that alternate.");
NormalizationTable.Print(device);
NetworkTable.Print(device);

static string FirstDevice()
{
    try
    {
        return new TorchEngine("cuda").Device;
    }
    catch (InvalidOperationException error)
    {
        Console.WriteLine(error.Message);
        return new TorchEngine("cpu").Device;
    }
}
