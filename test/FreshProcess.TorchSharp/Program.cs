// A process that makes an engine on the device named, and writes what came of it.

using Microsoft.ML.BatchNorm.TorchSharp;

try
{
    Console.WriteLine(new TorchEngine(args[0]).Device);
}
catch (Exception error)
{
    Console.WriteLine($"{error.GetType().Name}: {error.Message}");
}
