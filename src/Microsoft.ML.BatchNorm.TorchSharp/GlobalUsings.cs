// In this project's namespaces, TorchSharp means the last part of their own name, so these are aliases.
#pragma warning disable CS8981 // Every user of TorchSharp knows the name torch.
global using BatchNormModule = TorchSharp.Modules.BatchNorm;
global using F = TorchSharp.torch.nn.functional;
global using ScalarType = TorchSharp.torch.ScalarType;
global using Tensor = TorchSharp.torch.Tensor;
global using torch = TorchSharp.torch;
