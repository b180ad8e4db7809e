using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// A layer's options as JSON in UTF-8: each property by its name in camel case, enumerations by name, every number
/// exactly. What is null is left out; all else must be there.
/// </summary>
static class OptionsFormat
{
    /// <summary>More bytes than any options have.</summary>
    public const int MaxLength = 16_384;

    static readonly JsonSerializerOptions strict = new(OptionsJson.Default.Options)
    {
        TypeInfoResolver = OptionsJson.Default.WithAddedModifier(RequireWhatIsNeverNull),
    };

    static readonly JsonTypeInfo<BatchNormalizationOptions> one = TypeInfo<BatchNormalizationOptions>();

    static readonly JsonTypeInfo<Dictionary<string, BatchNormalizationOptions>> several =
        TypeInfo<Dictionary<string, BatchNormalizationOptions>>();

    static readonly JsonTypeInfo<Dictionary<string, double>> numbers = TypeInfo<Dictionary<string, double>>();

    public static byte[] ToBytes(BatchNormalizationOptions options) =>
        JsonSerializer.SerializeToUtf8Bytes(options, one);

    /// <summary>Reads what <see cref="ToBytes"/> wrote, to the last byte.</summary>
    /// <exception cref="InvalidDataException">It is not the JSON of options.</exception>
    /// <exception cref="ArgumentException">A value is out of range.</exception>
    public static BatchNormalizationOptions FromBytes(ReadOnlySpan<byte> bytes) =>
        Parsed(JsonSerializer.Deserialize, bytes, one);

    /// <summary>The options of several layers, by what the names of their tensors begin with.</summary>
    public static string ToText(Dictionary<string, BatchNormalizationOptions> layers) =>
        JsonSerializer.Serialize(layers, several);

    /// <summary>Reads what <see cref="ToText(Dictionary{string, BatchNormalizationOptions})"/> wrote.</summary>
    /// <inheritdoc cref="FromBytes"/>
    public static Dictionary<string, BatchNormalizationOptions> FromText(string text)
    {
        Dictionary<string, BatchNormalizationOptions> layers = Parsed(JsonSerializer.Deserialize, text, several);
        return layers.ContainsValue(null!) ? throw new InvalidDataException("The options are null.") : layers;
    }

    /// <summary>Slopes, by the paths of their layers.</summary>
    public static string ToText(Dictionary<string, double> slopes) => JsonSerializer.Serialize(slopes, numbers);

    /// <summary>Reads what <see cref="ToText(Dictionary{string, double})"/> wrote.</summary>
    /// <inheritdoc cref="FromBytes"/>
    public static Dictionary<string, double> SlopesFromText(string text)
    {
        Dictionary<string, double> slopes = Parsed(JsonSerializer.Deserialize, text, numbers, "The slopes");
        foreach ((string path, double slope) in slopes)
            Check.Finite(slope, $"the slope of '{path}'");
        return slopes;
    }

    static JsonTypeInfo<T> TypeInfo<T>() => (JsonTypeInfo<T>)strict.GetTypeInfo(typeof(T));

    // Generated code gives what is missing the default of its type, not of the property.
    static void RequireWhatIsNeverNull(JsonTypeInfo type)
    {
        foreach (JsonPropertyInfo property in type.Properties)
            property.IsRequired = property.Set is not null && !property.IsSetNullable;
    }

    delegate T? Parse<TSource, T>(TSource source, JsonTypeInfo<T> type) where TSource : allows ref struct;

    static T Parsed<TSource, T>(Parse<TSource, T> parse, TSource source, JsonTypeInfo<T> type, string what = "The options")
        where TSource : allows ref struct where T : class
    {
        try
        {
            return parse(source, type) ?? throw new InvalidDataException($"{what} are null.");
        }
        catch (Exception error) when (error is JsonException or NotSupportedException)
        {
            throw new InvalidDataException($"{what} are not JSON that can be read: {error.Message}", error);
        }
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, AllowDuplicateProperties = false,
    RespectNullableAnnotations = true)]
[JsonSerializable(typeof(Dictionary<string, BatchNormalizationOptions>))]
[JsonSerializable(typeof(Dictionary<string, double>))]
sealed partial class OptionsJson : JsonSerializerContext;
