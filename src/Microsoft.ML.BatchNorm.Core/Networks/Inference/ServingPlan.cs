namespace Microsoft.ML.BatchNorm.Inference;

/// <summary>Makes the steps of a model from a network's layers.</summary>
sealed class ServingPlan
{
    readonly List<ServingStep> steps = [];
    readonly bool folds;
    ProductDraft? draft;
    bool isChannelsLast;

    ServingPlan(bool folds) => this.folds = folds;

    public static ServingStep[] Of(Network network, NetworkState state, bool folds)
    {
        var plan = new ServingPlan(folds);
        foreach (NetworkNode node in network.Nodes)
            plan.Add(node, state);
        plan.Close();
        plan.TurnBack(network.OutputShape);
        return [.. plan.steps];
    }

    void Add(NetworkNode node, NetworkState state)
    {
        switch (node.Layer)
        {
            case DropoutLayer:
                break;
            case BatchNormalizationLayer layer:
                Normalize(node, layer, state[node.Path].BatchNormalization!);
                break;
            case ActivationLayer layer when draft is not null:
                draft.Activation = layer;
                Close();
                break;
            case ActivationLayer layer:
                steps.Add(new ActivationStep(layer, node.Input.Size));
                break;
            default:
                Close();
                AddShaping(node, state);
                break;
        }
    }

    void AddShaping(NetworkNode node, NetworkState state)
    {
        switch (node.Layer)
        {
            case DenseLayer:
                draft = new ProductDraft(node, state[node.Path]);
                break;
            case Conv2DLayer:
                Turn(node.Input);
                draft = new ProductDraft(node, state[node.Path]);
                break;
            case Pool2DLayer layer:
                Turn(node.Input);
                steps.Add(new PoolStep(layer, node.Input, node.Output));
                break;
            case GlobalAveragePool2DLayer:
                Turn(node.Input);
                steps.Add(new GlobalAverageStep(node.Input));
                isChannelsLast = false;
                break;
            case FlattenLayer:
                TurnBack(node.Input);
                break;
            case TorchScriptLayer:
                throw TorchScriptLayer.NeedsTorch(node.Path);
            default:
                throw new NotSupportedException($"Layer '{node.Path}' ({node.Layer.Kind}) cannot be served.");
        }
    }

    void Normalize(NetworkNode node, BatchNormalizationLayer layer, BatchNormalizationState state)
    {
        if (!layer.Options.TrackMovingStatistics)
            throw new ArgumentException(
                $"Layer '{node.Path}' has TrackMovingStatistics = false: it normalizes each batch with the batch's own "
                + "statistics, and a single row cannot be served.");
        var map = new AffineMap(layer.Options, state);
        if (folds && draft is not null && draft.TryFold(layer, map))
            return;
        Close();
        ChannelLayout row = layer.Layout(node.Input, 1);
        if (isChannelsLast)
        {
            TensorShape image = node.Input;
            int axis = layer.AxisIn(image);
            row = new ChannelLayout([1, image[1], image[2], image[0]], axis == 1 ? 3 : axis - 1);
        }
        steps.Add(new AffineStep(map.ForRows<float>(row)));
    }

    void Close()
    {
        if (draft is not null)
            steps.Add(draft.Complete());
        draft = null;
    }

    void Turn(TensorShape image)
    {
        if (!isChannelsLast && image[0] > 1 && image[1] * image[2] > 1)
            steps.Add(new TransposeStep(image[0], image[1] * image[2]));
        isChannelsLast = true;
    }

    void TurnBack(TensorShape image)
    {
        if (isChannelsLast && image[0] > 1 && image[1] * image[2] > 1)
            steps.Add(new TransposeStep(image[1] * image[2], image[0]));
        isChannelsLast = false;
    }
}
