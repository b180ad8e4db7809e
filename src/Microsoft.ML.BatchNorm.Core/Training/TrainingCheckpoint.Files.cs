using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

public sealed partial class TrainingCheckpoint
{
    const string NetworkRoot = "network/", StateRoot = "state/", BestRoot = "best/", OptimizerRoot = "optimizer/";

    internal static JsonSerializerOptions Json { get; } = Definition.Options(CheckpointJson.Default);

    /// <summary>Writes every bit of the checkpoint as a safetensors file.</summary>
    /// <param name="stream">Written from its current position, neither flushed nor closed.</param>
    /// <remarks>
    /// <para>
    /// Tensors have the names of <see cref="Network.Save"/> after a prefix: <c>state/</c>, <c>best/</c> for the best
    /// epoch if it is kept, and <c>network/</c> for the modules of TorchScript layers. The optimizer's moments have the
    /// prefix <c>optimizer/</c>. The metadata has network, options, phases, position and history as JSON, and a
    /// checksum by which loading detects any damage. <c>docs/internals/files.md</c> describes the format.
    /// </para>
    /// <para>Every later version of this library can read the file.</para>
    /// </remarks>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="InvalidOperationException">
    /// The checkpoint could not be loaded again: a value of the state is not finite or out of range, or the definition
    /// and the names take more than 100 MB. Nothing was written.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void Save(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        NetworkState? best = position.Best?.State;
        string? fault = Fault(Setup, State) ?? (best is null ? null : Fault(Setup, best));
        if (fault is not null)
            throw new InvalidOperationException($"The checkpoint cannot be saved: {fault}");
        SafetensorsWriter.Write(
            stream, FileKind.Checkpoint,
            Definition.ToText(new CheckpointDefinition(Setup, position, position.Optimizer.Steps), Json),
            [
                .. Network.ModuleTensors(NetworkRoot), .. Network.StateTensors(State, StateRoot),
                .. best is null ? [] : Network.StateTensors(best, BestRoot),
                .. position.Optimizer.Moments.Select(moment => new SafetensorsTensor(
                    OptimizerRoot + moment.Key, SafetensorsShape.Of(moment.Value.Length),
                    ImmutableCollectionsMarshal.AsArray(moment.Value)!)),
            ]);
    }

    /// <summary>
    /// Reads a checkpoint that <see cref="Save"/> wrote. A run that is resumed from it ends with the same bits.
    /// </summary>
    /// <param name="stream">Read to the checkpoint's last byte and not further. It need not be able to seek.</param>
    /// <remarks>
    /// Truncation and damage are detected. Memory grows with the bytes that arrive, not with the lengths that the file
    /// claims.
    /// </remarks>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="InvalidDataException">
    /// The stream holds no checkpoint here, or it is truncated, damaged, of an unknown version, or has a value out of
    /// range; the message says which.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static TrainingCheckpoint Load(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var file = new SafetensorsReader(stream);
        (RunSetup setup, RunPosition position, long steps) =
            Definition.Parse<CheckpointDefinition>(file.DefinitionOf(FileKind.Checkpoint), Json);
        CheckRun(setup, position, steps);

        string[] names = [.. file.Header.Tensors.Select(tensor => tensor.Name)];
        var expected = new ExpectedTensors("checkpoint");
        setup.Network.ExpectModules(expected, NetworkRoot);
        LayerTensors[] layers = setup.Network.ExpectState(expected, StateRoot);
        LayerTensors[]? bestLayers = Array.Exists(names, name => name.StartsWith(BestRoot, StringComparison.Ordinal))
            ? setup.Network.ExpectState(expected, BestRoot)
            : null;
        string[] moments = Array.FindAll(names, name => name.StartsWith(OptimizerRoot, StringComparison.Ordinal));
        foreach (string moment in moments)
            expected.Add(new FileTensor(
                new(moment, null, TensorType.F32, TensorRole.Other), moment));
        expected.Match(file.Header);
        SafetensorsValues values = file.Read(expected.Needs, toEnd: false);

        setup = setup.With(network => network.WithModules(values, NetworkRoot));
        NetworkState state = BatchNorm.Network.StateOf(layers, values);
        NetworkState? best = bestLayers is null ? null : BatchNorm.Network.StateOf(bestLayers, values);
        if (best is not null && position.Best is null)
            throw new InvalidDataException("The checkpoint has the state of a best epoch, but no such epoch.");
        string? fault = Fault(setup, state) ?? (best is null ? null : Fault(setup, best));
        if (fault is not null)
            throw new InvalidDataException(fault);
        return new TrainingCheckpoint(setup, position with
        {
            State = state,
            Best = position.Best is { } known ? known with { State = best } : null,
            Optimizer = new OptimizerState(steps, OptimizerState.Empty.Moments.AddRange(
                moments.Select(moment => KeyValuePair.Create(
                    moment[OptimizerRoot.Length..],
                    ImmutableCollectionsMarshal.AsImmutableArray(values.Floats(moment)))))),
        });
    }

    static string? Fault(RunSetup setup, NetworkState state) =>
        setup.Phases.Select(phase => phase.Network).Prepend(setup.Network)
            .Select(network => network.Fault(state))
            .FirstOrDefault(fault => fault is not null);

    /// <exception cref="InvalidDataException">A value is out of range.</exception>
    static void CheckRun(RunSetup setup, RunPosition position, long optimizerSteps)
    {
        InRange(setup.Phases.Length, 1, int.MaxValue, "number of phases");
        try
        {
            foreach (RunPhase phase in setup.Phases)
            {
                Check.NotNull(phase);
                Check.Positive(phase.Epochs, "the number of epochs");
                Check.NotNegative(phase.LearningRate, "the learning rate");
                phase.CheckSameLayers(setup.Network);
            }
        }
        catch (ArgumentException error)
        {
            throw new InvalidDataException($"The definition is wrong: {Check.Text(error)}", error);
        }
        InRange(position.Phase, 0, setup.Phases.Length - 1, "phase");
        InRange(position.Epoch, 0, setup.Phases[position.Phase].Epochs, "epoch");
        InRange(position.Step, 0, int.MaxValue, "step");
        InRange(position.Best?.Epoch ?? 1, 1, Math.Max(1, position.Epoch), "best epoch");
        InRange(optimizerSteps, 0, long.MaxValue, "number of the optimizer's steps");
        if (position.Best is { } best && !double.IsFinite(best.Loss))
            throw new InvalidDataException("The loss of the best epoch is not finite.");
        if (position.History.Any(epoch => epoch is null) || position.Statistics.Any(IsWrong))
            throw new InvalidDataException("An epoch of the history is null, or a distance is not a number from 0.");

        static void InRange(long value, long least, long most, string what)
        {
            if (value < least || value > most)
                throw new InvalidDataException($"The {what} is {value}; it must be from {least} to {most}.");
        }

        static bool IsWrong(StatisticsDistance distance) => distance is null || distance.Epoch < 1
            || !(distance.MeanMedian >= 0 && distance.MeanMaximum >= 0 && distance.VarianceMedian >= 0
                && distance.VarianceMaximum >= 0);
    }
}

/// <summary>All of a checkpoint except its tensors.</summary>
sealed record CheckpointDefinition(RunSetup Setup, RunPosition Position, long OptimizerSteps);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, AllowDuplicateProperties = false,
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(CheckpointDefinition))]
sealed partial class CheckpointJson : JsonSerializerContext;
