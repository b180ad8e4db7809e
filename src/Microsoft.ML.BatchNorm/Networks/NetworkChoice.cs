using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Trainers;

/// <summary>
/// Chooses the network that a trainer trains, and its first values: those of an earlier training, of a pretrained
/// network, or fresh ones.
/// </summary>
/// <param name="host">Reports the errors.</param>
/// <param name="options">The trainer's options.</param>
/// <param name="input">The shape of a row.</param>
/// <param name="outputs">The number of outputs that the label needs.</param>
sealed class NetworkChoice(IHost host, BatchNormNetworkTrainerOptions options, TensorShape input, int outputs)
{
    const int DefaultUnits = 128, MostListed = 20;

    /// <summary>Of features, small ones count too; an activation is of scale 1.</summary>
    const double FeatureEpsilon = 1e-5;

    HashSet<string> known = [];

    /// <summary>
    /// Whether a layer has fresh values, not those of an earlier training; valid after <see cref="Choose"/>.
    /// </summary>
    public bool IsFresh(NetworkNode node) => !known.Contains(node.Path);

    /// <summary>
    /// Whether the default network is trained from its first values on; valid after <see cref="Choose"/>.
    /// </summary>
    public bool IsDefault { get; private set; }

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

    /// <summary>Batch normalization of the features, then one hidden layer with batch normalization.</summary>
    Network Default()
    {
        IsDefault = options.FineTune is null;
        Network network = Network.Input(input.Dimensions);
        return (input.Rank == 1 ? network : network.Flatten())
            .BatchNormalization(new BatchNormalizationOptions { Epsilon = FeatureEpsilon })
            .Dense(DefaultUnits, useBias: false).BatchNormalization().ReLU().Dense(outputs);
    }

    Network? Given()
    {
        if (options.NetworkFactory is not { } factory)
            return options.Network;
        return factory(input, outputs)
            ?? throw host.ExceptUserArg(
                nameof(options.NetworkFactory), "NetworkFactory must give a network, not null.");
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
            throw host.ExceptUserArg(nameof(options.Pretrained), BatchNorm.Check.Text(error));
        }
        if (Given() is not { } given)
            return WithOutputs(pretrained, seed);
        Network network = given.FilledFrom(pretrained.Network);
        NetworkState state = network.Initialize(pretrained.State, seed, out IReadOnlyList<string> takenOver);
        if (takenOver.Count == 0)
            throw host.ExceptUserArg(
                nameof(options.Pretrained),
                "Pretrained has no layer with the path and the shapes of one of the network's. It has " +
                $"{Shapes(pretrained.Network)}; the network has {Shapes(network)}.");
        known = [.. takenOver];
        return new SavedNetwork(network, state);
    }

    /// <summary>Lists the layers with parameters by path and shapes, for a message.</summary>
    static string Shapes(Network network)
    {
        string[] layers = [.. network.Nodes.Where(Network.HasState).Select(
            node => $"'{node.Path}' ({node.Layer.Kind} from {node.Input} to {node.Output})")];
        return layers.Length == 0 ? "none with parameters" : BatchNorm.Check.List(layers, MostListed);
    }

    /// <summary>The network itself, or with a new head if its number of outputs differs.</summary>
    SavedNetwork WithOutputs(SavedNetwork saved, int seed)
    {
        if (saved.Network.OutputShape.Size == outputs)
        {
            known = [.. saved.State.Paths];
            return saved;
        }
        host.CheckUserArg(
            options.FineTune is not null, nameof(options.FineTune),
            $"The network to go on from has {saved.Network.OutputShape.Size} outputs, and the label asks for " +
            $"{outputs}. Set FineTune = FineTune.HeadThenAll(...) to train a new head.");
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
            throw host.ExceptUserArg(nameof(options.Freeze), BatchNorm.Check.Text(error));
        }
    }

    /// <summary>Refuses a plan that starts by freezing fresh layers: it would train on top of random values.</summary>
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
            // The run reports what is wrong with the switches.
            return;
        }
        NetworkNode? random = network.Nodes.Zip(first).FirstOrDefault(pair =>
            IsFresh(pair.First) && pair.First.TrainableCount > 0 && pair.Second.TrainableCount == 0).First;
        host.CheckUserArg(
            random is null, nameof(options.FineTune),
            $"FineTune must begin with a network that was trained: phase '{plan.Phases[0].Name}' freezes " +
            $"'{random?.Path}', whose values are random. Set Pretrained, or go on from a model with Fit(rows, model).");
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
            $"The network must have {outputs} outputs, as the label asks for; it has {network.OutputShape.Size}.");
        CheckPlan(network);
        foreach (NetworkNode node in network.Nodes)
        {
            host.CheckUserArg(
                node.Layer is not BatchNormalizationLayer { Options.TrackMovingStatistics: false },
                nameof(options.Network),
                $"The network must keep moving statistics, which a model predicts with; its layer '{node.Path}' has " +
                "TrackMovingStatistics = false.");
        }
    }
}
