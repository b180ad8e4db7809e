using TorchSharp;
using TorchSharp.Modules;
using Module = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>A network as users of TorchSharp write it: modules in a sequence, here with our parameters.</summary>
static class TorchNetwork
{
    public static Sequential Of(Network network, NetworkState state, string device = "cpu")
    {
        using IDisposable constants = torch.no_grad();
        Sequential modules = torch.nn.Sequential(
            network.Nodes.SelectMany(node => Layers(node, state).Select((module, i) => ($"{node.Path}_{i}", module))));
        return modules.to(new torch.Device(device));
    }

    static Module[] Layers(NetworkNode node, NetworkState state) => node.Layer switch
    {
        DenseLayer layer => [Loaded(torch.nn.Linear(node.Input.Size, layer.Units, layer.UseBias), state[node.Path])],
        Conv2DLayer layer => [Loaded(
            torch.nn.Conv2d(
                node.Input[0], layer.Filters, (layer.KernelSize.Height, layer.KernelSize.Width),
                padding: (layer.Padding.Top, layer.Padding.Left), bias: layer.UseBias),
            state[node.Path])],
        BatchNormalizationLayer layer when node.Input.Rank == 3 => [torch.nn.BatchNorm2d(
            node.Input[0], layer.Options.EffectiveEpsilon, 1 - layer.Options.EffectiveMomentum)],
        BatchNormalizationLayer layer => [torch.nn.BatchNorm1d(
            node.Input[0], layer.Options.EffectiveEpsilon, 1 - layer.Options.EffectiveMomentum)],
        ActivationLayer { Function: Activation.ReLU } => [torch.nn.ReLU(inplace: true)],
        Pool2DLayer { Function: Pooling.Max } layer =>
            [torch.nn.MaxPool2d((layer.PoolSize.Height, layer.PoolSize.Width))],
        GlobalAveragePool2DLayer => [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()],
        _ => throw new NotSupportedException($"'{node.Path}' has no module here."),
    };

    static Linear Loaded(Linear module, LayerState state)
    {
        Load(module.weight, state.Kernel);
        Load(module.bias, state.Bias);
        return module;
    }

    static Conv2d Loaded(Conv2d module, LayerState state)
    {
        Load(module.weight, state.Kernel);
        Load(module.bias, state.Bias);
        return module;
    }

    static void Load(Tensor? parameter, ReadOnlySpan<float> values)
    {
        using Tensor source = torch.tensor(values.ToArray());
        parameter?.copy_(source.reshape(parameter.shape));
    }
}
