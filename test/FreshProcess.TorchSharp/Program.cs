// A process that makes an engine on the device named, computes on it, and writes what came of it.

using Microsoft.ML.BatchNorm.TorchSharp;
using TorchSharp;

try
{
    var engine = new TorchEngine(args[0]);
    using torch.Tensor images = torch.zeros(2, 3, 4, 4, device: engine.Device);
    torch.nn.BatchNorm2d(3).to(engine.Device).call(images).cpu();
    Console.WriteLine(engine.Device);
}
catch (Exception error)
{
    Console.WriteLine($"{error.GetType().Name}: {error.Message}");
}
