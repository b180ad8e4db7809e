using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Writes definitions as JSON and reads them: properties by their names in camel case, enumerations by name, doubles
/// exactly. Properties that are null are left out. All others must be there, and unknown ones are errors.
/// </summary>
static class Definition
{
    // Each warm-up of a schedule takes one level of JSON.
    const int MaxDepth = 128;

    static readonly JsonSerializerOptions core = Options(DefinitionJson.Default);

    /// <summary>The JSON options for the types of a serializer context.</summary>
    public static JsonSerializerOptions Options(JsonSerializerContext context) => new(context.Options)
    {
        TypeInfoResolver = context.WithAddedModifier(Restrict),
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = MaxDepth,
    };

    /// <param name="definition">The definition.</param>
    /// <param name="options">The JSON options; null for those of this assembly's types.</param>
    /// <exception cref="InvalidOperationException">The definition is nested too deeply.</exception>
    public static string ToText<T>(T definition, JsonSerializerOptions? options = null)
    {
        try
        {
            return JsonSerializer.Serialize(definition, TypeOf<T>(options));
        }
        catch (JsonException error)
        {
            throw new InvalidOperationException($"The definition cannot be saved: {error.Message}", error);
        }
    }

    /// <summary>Reads what <see cref="ToText"/> wrote.</summary>
    /// <exception cref="InvalidDataException">
    /// The text is not the JSON of a definition, or a value is out of range.
    /// </exception>
    public static T Parse<T>(string text, JsonSerializerOptions? options = null) where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(text, TypeOf<T>(options))
                ?? throw new InvalidDataException("The definition is null.");
        }
        catch (Exception error) when (error is JsonException or NotSupportedException)
        {
            throw new InvalidDataException($"The definition is not JSON that can be read: {error.Message}", error);
        }
        catch (ArgumentException error)
        {
            throw new InvalidDataException($"The definition is wrong: {Check.Text(error)}", error);
        }
    }

    public static JsonTypeInfo<T> TypeOf<T>(JsonSerializerOptions? options = null) =>
        (JsonTypeInfo<T>)(options ?? core).GetTypeInfo(typeof(T));

    /// <summary>Leaves out properties that follow from others, and requires those that are never null.</summary>
    static void Restrict(JsonTypeInfo type)
    {
        for (int i = type.Properties.Count - 1; i >= 0; i--)
        {
            JsonPropertyInfo property = type.Properties[i];
            // Generated code would give a missing property the default of its type, not the property's own.
            if (property.Set is not null)
                property.IsRequired = !property.IsSetNullable;
            else if (property.AssociatedParameter is null)
                type.Properties.RemoveAt(i);
        }
    }
}

/// <summary>What a file of weights states besides its tensors.</summary>
/// <param name="Preset">The framework whose defaults the network had; null in the file of one layer.</param>
/// <param name="Options">The options of each batch normalization, by the prefix of its tensors.</param>
/// <param name="Slopes">The slopes of a network's LeakyReLUs, by their paths.</param>
/// <param name="Populations">
/// The four arrays of <see cref="PopulationMoments"/> of each batch normalization, by the prefix of its tensors. They
/// are not tensors, since PyTorch's <c>load_state_dict</c> rejects a tensor that its module does not have.
/// </param>
sealed record WeightsDefinition(
    NetworkPreset? Preset, Dictionary<string, BatchNormalizationOptions> Options, Dictionary<string, double> Slopes,
    Dictionary<string, double[][]> Populations)
{
    /// <summary>Reads the definition of a file of weights; null if the file states nothing.</summary>
    /// <exception cref="InvalidDataException">The file is of another kind, or the definition is wrong.</exception>
    public static WeightsDefinition? Of(SafetensorsReader file)
    {
        if (file.Header.Kind is null)
            return null;
        var stated = Definition.Parse<WeightsDefinition>(file.DefinitionOf(FileKind.Weights));
        if (stated.Options.ContainsValue(null!))
            throw new InvalidDataException("The definition is wrong: the options of a layer are null.");
        foreach ((string path, double slope) in stated.Slopes)
        {
            if (!double.IsFinite(slope))
                throw new InvalidDataException(
                    $"The definition is wrong: the slope of {SafetensorsEntry.Quote(path)} is not finite.");
        }
        // Without the checksum, another program may have changed the tensors, to which the population belongs.
        return file.Header.Checksum is null ? stated with { Populations = [] } : stated;
    }
}

/// <summary>A network's definition.</summary>
/// <param name="Input">The shape of an input row, without the batch.</param>
/// <param name="Preset">The framework whose defaults layers get that are added later.</param>
/// <param name="Nodes">The nodes in topological order.</param>
sealed record NetworkDefinition(TensorShape Input, NetworkPreset? Preset, IReadOnlyList<NodeDefinition> Nodes);

/// <summary>A node of a network's definition.</summary>
/// <param name="Path">The path, which ends in the layer's name.</param>
/// <param name="Inputs">The indices of the nodes that it reads; −1 is the network's input.</param>
/// <param name="Layer">The layer without its name.</param>
sealed record NodeDefinition(string Path, IReadOnlyList<int> Inputs, Layer Layer);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, AllowDuplicateProperties = false,
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(WeightsDefinition))]
[JsonSerializable(typeof(Network))]
[JsonSerializable(typeof(NetworkDefinition))]
sealed partial class DefinitionJson : JsonSerializerContext;

/// <summary>Writes a network as its definition, and reads it.</summary>
sealed class NetworkConverter : JsonConverter<Network>
{
    public override Network? Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
        JsonSerializer.Deserialize(ref reader, Definition.TypeOf<NetworkDefinition>()) is { } definition
            ? Network.OfDefinition(definition)
            : null;

    public override void Write(Utf8JsonWriter writer, Network network, JsonSerializerOptions options) =>
        JsonSerializer.Serialize(
            writer,
            new NetworkDefinition(
                network.InputShape, network.Preset,
                [.. network.Nodes.Select(node => new NodeDefinition(node.Path, node.Inputs, node.Layer))]),
            Definition.TypeOf<NetworkDefinition>());
}
