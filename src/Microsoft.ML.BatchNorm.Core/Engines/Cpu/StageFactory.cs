using System.Collections.Immutable;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>Makes the stages of a network, layer by layer.</summary>
static class StageFactory
{
    /// <param name="network">The network.</param>
    /// <param name="features">The buffer of its rows.</param>
    /// <param name="step">The step that the stages ask about.</param>
    /// <exception cref="NotSupportedException">There is a layer that has no stage.</exception>
    public static List<Stage> Create(Network network, RowBuffer features, Step step)
    {
        var stages = new List<Stage>();
        IReadOnlyList<NetworkNode> nodes = network.Nodes;
        // The stage that gives each node's value; an activation may be part of the stage before it.
        int[] places = new int[nodes.Count];
        Array.Fill(places, -1);
        for (int i = 0; i < nodes.Count; i++)
        {
            if (places[i] >= 0)
                continue;
            NetworkNode node = nodes[i];
            ImmutableArray<int> reads = [.. node.Inputs.Select(value => value < 0 ? value : places[value])];
            ImmutableArray<RowBuffer> inputs = [.. reads.Select(place => place < 0 ? features : stages[place].Output)];
            RowBuffer input = inputs[0];
            int? next = network.Values.OnlyReaderOf(i);
            ActivationLayer? behind = next is { } reader ? nodes[reader].Layer as ActivationLayer : null;
            Stage stage = node.Layer switch
            {
                DenseLayer dense => new DenseStage(node, dense, input, step),
                BatchNormalizationLayer layer => Normalization(node, layer, ref behind, input, step),
                ActivationLayer activation => Activate(node, activation, input),
                Conv2DLayer convolution => new Conv2DStage(node, convolution, input, step),
                Pool2DLayer { Function: Pooling.Max } pool => new MaxPool2DStage(node, pool, input, step),
                Pool2DLayer pool => new AveragePool2DStage(node, pool, input, step),
                GlobalAveragePool2DLayer => new GlobalAveragePool2DStage(node, input),
                DropoutLayer dropout => new DropoutStage(node, dropout, input, step, i),
                FlattenLayer => new FlattenStage(node, input),
                AddLayer => new AddStage(node, inputs),
                ConcatLayer => new ConcatStage(node, inputs),
                TorchScriptLayer => throw TorchScriptLayer.NeedsTorch(node.Path),
                _ => throw new NotSupportedException(
                    $"The CPU engine cannot run layer '{node.Path}' ({node.Layer.Kind})."),
            };
            stage.Reads = reads;
            places[i] = stages.Count;
            if (node.Layer is BatchNormalizationLayer && behind is not null)
                places[next!.Value] = stages.Count;
            stages.Add(stage);
        }
        return stages;
    }

    /// <summary>Takes along the activation that alone reads it, or makes it null.</summary>
    static BatchNormalizationStage Normalization(
        NetworkNode node, BatchNormalizationLayer layer, ref ActivationLayer? activation, RowBuffer input, Step step)
    {
        if (activation is { EffectiveFunction: Activation.LeakyReLU, Slope: > 0 } leaky)
            return Normalization(node, layer, input, step, new LeakyReLUFunction(leaky.Slope));
        if (activation is { EffectiveFunction: Activation.ReLU })
            return Normalization(node, layer, input, step, new ReLUFunction());
        activation = null;
        return Normalization(node, layer, input, step, new NoActivation());
    }

    static BatchNormalizationStage Normalization<TActivation>(
        NetworkNode node, BatchNormalizationLayer layer, RowBuffer input, Step step, TActivation activation)
        where TActivation : struct, IFusedActivation
    {
        ChannelLayout row = layer.Layout(node.Input, rows: 1);
        ChannelKernels kernels = row is { Outer: 1, Inner: 1 }
            ? new FeatureKernels<TActivation>(activation, input.Columns)
            : new ImageKernels<TActivation>(activation, row);
        if (layer.Options.NonFinite == NonFinite.Ignore)
            kernels = new IgnoringKernels<TActivation>(kernels, activation, row);
        return new BatchNormalizationStage(node, layer, input, step, kernels);
    }

    static Stage Activate(NetworkNode node, ActivationLayer layer, RowBuffer input) => layer.EffectiveFunction switch
    {
        Activation.ReLU => new ActivationStage<ReLUFunction>(node, input, default),
        Activation.LeakyReLU => new ActivationStage<LeakyReLUFunction>(node, input, new(layer.Slope)),
        Activation.Gelu => new ActivationStage<GeluFunction>(node, input, default),
        Activation.Sigmoid => new ActivationStage<SigmoidFunction>(node, input, default),
        Activation.Tanh => new ActivationStage<TanhFunction>(node, input, default),
        _ => throw new NotSupportedException($"The CPU engine cannot run layer '{node.Path}' ({layer.Kind})."),
    };
}
