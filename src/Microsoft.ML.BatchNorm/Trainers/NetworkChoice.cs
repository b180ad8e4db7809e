using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Trainers;

/// <summary>
/// Which network a trainer trains and which values it begins with: those of an earlier training, of a pretrained
/// network, or fresh ones.
/// </summary>
/// <param name="host">Whose errors they are.</param>
/// <param name="options">The trainer's options.</param>
/// <param name="input">The shape of a row.</param>
/// <param name="outputs">The number of outputs that the label asks for.</param>
sealed class NetworkChoice(IHost host, BatchNormNetworkTrainerOptions options, TensorShape input, int outputs)
{
    const int DefaultUnits = 128;

    HashSet<string> known = [];

    /// <summary>
    /// Whether a layer has first values of its own, and none of an earlier training; known once a network is chosen.
    /// </summary>
    public bool IsFresh(NetworkNode node) => !known.Contains(node.Path);

    public SavedNetwork Choose(INetworkModelParameters? previous, int seed)
    {
        SavedNetwork start = previous is not null
            ? WithOutputs(new SavedNetwork(previous.Network, previous.State), seed)
            : options.Pretrained is { } pretrained
                ? FromPretrained(pretrained, seed)
                : Fresh(Given() ?? Default(), seed);
        Network network = Frozen(start.Network);
        Check(network);
        return new SavedNetwork(network, start.State);
    }

    /// <summary>Batch normalization of the features, and one hidden layer with batch normalization.</summary>
    Network Default()
    {
        Network network = Network.Input(input.Dimensions);
        return (input.Rank == 1 ? network : network.Flatten())
            .BatchNormalization().Dense(DefaultUnits, useBias: false).BatchNormalization().ReLU().Dense(outputs);
    }

    Network? Given()
    {
        if (options.NetworkFactory is not { } factory)
            return options.Network;
        return factory(input, outputs)
            ?? throw host.ExceptUserArg(nameof(options.NetworkFactory), "Must give a network");
    }

    static SavedNetwork Fresh(Network network, int seed) => new(network, network.Initialize(seed));

    SavedNetwork FromPretrained(SavedNetwork pretrained, int seed)
    {
        try
        {
            pretrained.Network.CheckState(pretrained.State);
        }
        catch (ArgumentException error)
        {
            throw host.ExceptUserArg(nameof(options.Pretrained), error.Message);
        }
        if (Given() is not { } given)
            return WithOutputs(pretrained, seed);
        Network network = given.FilledFrom(pretrained.Network);
        NetworkState state = network.Initialize(pretrained.State, seed, out IReadOnlyList<string> takenOver);
        host.CheckUserArg(
            takenOver.Count > 0, nameof(options.Pretrained),
            "Must have a layer with the path and the shapes of one of the network's");
        known = [.. takenOver];
        return new SavedNetwork(network, state);
    }

    /// <summary>The network itself, or under a new head.</summary>
    SavedNetwork WithOutputs(SavedNetwork saved, int seed)
    {
        if (saved.Network.OutputShape.Size == outputs)
        {
            known = [.. saved.State.Paths];
            return saved;
        }
        host.CheckUserArg(
            options.FineTune is not null, nameof(options.FineTune),
            "Must be a plan that trains a new head: the network has " +
            $"{saved.Network.OutputShape.Size} outputs, and the label asks for {outputs}. FineTune.HeadThenAll is one");
        Network network = saved.Network.WithHead(outputs);
        NetworkState state = network.Initialize(saved.State, seed, out IReadOnlyList<string> takenOver);
        known = [.. takenOver];
        return new SavedNetwork(network, state);
    }

    Network Frozen(Network network)
    {
        try
        {
            return options.Freeze.Length == 0 ? network : network.Freeze(options.Freeze);
        }
        catch (ArgumentException error)
        {
            throw host.ExceptUserArg(nameof(options.Freeze), error.Message);
        }
    }

    /// <summary>A plan that begins by freezing what was never trained would learn on top of random values.</summary>
    void CheckPlan(Network network)
    {
        if (options.FineTune is not { } plan)
            return;
        IReadOnlyList<NetworkNode> first;
        try
        {
            first = plan.Phases[0].Switches(network)?.Nodes ?? [];
        }
        catch (ArgumentException)
        {
            // The run says what is wrong with the switches.
            return;
        }
        NetworkNode? random = network.Nodes.Zip(first).FirstOrDefault(pair =>
            IsFresh(pair.First) && pair.First.TrainableCount > 0 && pair.Second.TrainableCount == 0).First;
        host.CheckUserArg(
            random is null, nameof(options.FineTune),
            $"Must begin with a network that was trained: phase '{plan.Phases[0].Name}' freezes '{random?.Path}', " +
            "whose values are random. Set Pretrained, or go on from a model with Fit(rows, model)");
    }

    void Check(Network network)
    {
        if (!ColumnShape.FitsNetwork(input, network.InputShape))
        {
            var given = new VectorDataViewType(NumberDataViewType.Single, input.Dimensions.ToArray());
            throw host.ExceptSchemaMismatch(
                "trainData", "feature", options.FeatureColumnName, ColumnShape.Expected(given, network.InputShape),
                given.ToString());
        }
        host.CheckUserArg(
            network.OutputShape.Size == outputs, nameof(options.Network),
            $"Must have {outputs} outputs, as the label asks for; it has {network.OutputShape.Size}");
        CheckPlan(network);
        foreach (NetworkNode node in network.Nodes)
        {
            host.CheckUserArg(
                node.Layer is not BatchNormalizationLayer { Options.TrackMovingStatistics: false },
                nameof(options.Network),
                $"Must keep moving statistics, which a model predicts with; its layer '{node.Path}' does not");
        }
    }
}
