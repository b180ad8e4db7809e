// Aliases, since TorchSharp within this project's namespaces is the last part of their own name.
#pragma warning disable CS8981 // torch is the name that every user of TorchSharp knows.
global using BatchNormModule = TorchSharp.Modules.BatchNorm;
global using F = TorchSharp.torch.nn.functional;
global using ScalarType = TorchSharp.torch.ScalarType;
global using Tensor = TorchSharp.torch.Tensor;
global using torch = TorchSharp.torch;
