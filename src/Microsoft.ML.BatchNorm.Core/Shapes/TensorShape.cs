using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The dimensions of one row that goes into a layer or comes out of it, without the batch's: <c>[64]</c>, or
/// <c>[3, 32, 32]</c> for channels, height and width. An immutable value.
/// </summary>
[JsonConverter(typeof(TensorShapeConverter))]
public sealed class TensorShape : IEquatable<TensorShape>
{
    const int MaxRank = 32;

    readonly ImmutableArray<int> dimensions;

    /// <summary>A shape of the given dimensions.</summary>
    /// <param name="dimensions">One to 32 dimensions, the outermost first.</param>
    /// <exception cref="ArgumentException">
    /// There are no dimensions or more than 32, one of them is not positive, or there are more elements than an array
    /// can have.
    /// </exception>
    public TensorShape(params ReadOnlySpan<int> dimensions)
    {
        if (dimensions.IsEmpty)
            throw new ArgumentException("A shape must have a dimension.", nameof(dimensions));
        if (dimensions.Length > MaxRank)
            throw new ArgumentException($"A shape has at most {MaxRank} dimensions.", nameof(dimensions));
        long size = 1;
        foreach (int dimension in dimensions)
        {
            Check.Positive(dimension, nameof(dimensions));
            size *= dimension;
            if (size > Array.MaxLength)
                throw new ArgumentException(
                    "A shape must not have more elements than an array can.", nameof(dimensions));
        }
        this.dimensions = [.. dimensions];
        Size = (int)size;
    }

    /// <summary>The number of dimensions.</summary>
    public int Rank => dimensions.Length;

    /// <summary>The number of elements in a row.</summary>
    public int Size { get; }

    /// <summary>One dimension.</summary>
    /// <param name="index">From 0 for the outermost to <see cref="Rank"/> − 1.</param>
    /// <exception cref="IndexOutOfRangeException">There is no such dimension.</exception>
    public int this[int index] => dimensions[index];

    /// <summary>The dimensions, the outermost first.</summary>
    public ReadOnlySpan<int> Dimensions => dimensions.AsSpan();

    /// <summary><see cref="Dimensions"/> as an array, which is not a copy.</summary>
    public ImmutableArray<int> DimensionsArray => dimensions;

    /// <summary>The shape of a batch: <paramref name="rows"/> before the row's own dimensions.</summary>
    /// <param name="rows">The number of rows.</param>
    public int[] WithRows(int rows) => [rows, .. dimensions];

    /// <inheritdoc/>
    public bool Equals(TensorShape? other) => other is not null && dimensions.AsSpan().SequenceEqual(other.Dimensions);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as TensorShape);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (int dimension in dimensions)
            hash.Add(dimension);
        return hash.ToHashCode();
    }

    /// <summary>The dimensions in brackets.</summary>
    public override string ToString() => $"[{string.Join(", ", dimensions)}]";
}

/// <summary>A shape as an array of its dimensions.</summary>
sealed class TensorShapeConverter : JsonConverter<TensorShape>
{
    public override TensorShape Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            throw new JsonException("A shape is an array.");
        var dimensions = new List<int>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            dimensions.Add(
                reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int dimension)
                    ? dimension
                    : throw new JsonException("The dimensions of a shape are whole numbers."));
        return new TensorShape([.. dimensions]);
    }

    public override void Write(Utf8JsonWriter writer, TensorShape shape, JsonSerializerOptions options)
    {
        writer.WriteStartArray();
        foreach (int dimension in shape.Dimensions)
            writer.WriteNumberValue(dimension);
        writer.WriteEndArray();
    }
}
