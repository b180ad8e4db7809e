using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The statistics of one shard of a data set, as a record that any program can write: as a line of JSON, or as a
/// safetensors file if there are many channels. The records of all shards merge to the statistics of the whole.
/// </summary>
/// <param name="Shard">The shard's key, which no other shard of the data set has.</param>
/// <param name="Statistics">The statistics of its rows.</param>
/// <remarks><c>docs/distributed.md</c> describes the record, and has the lines of Python that compute one.</remarks>
public sealed record PartialStatistics(string Shard, BatchStatistics Statistics)
{
    /// <summary>What a record states as its format.</summary>
    public const string Format = "batchnorm.partial/1";

    /// <summary>The most bytes of a line.</summary>
    const int MostBytes = 1 << 26;

    const int FirstBytes = 1 << 14;

    static readonly JsonSerializerOptions json = Definition.Options(StatisticsJson.Default);

    /// <summary>The shard's key, which no other shard of the data set has.</summary>
    public string Shard { get; init => field = Check.NotNull(value); } = Check.NotNull(Shard);

    /// <summary>The statistics of its rows.</summary>
    public BatchStatistics Statistics { get; init => field = Check.NotNull(value); } = Check.NotNull(Statistics);

    /// <summary>Merges the statistics of all shards, in the order of their keys, whatever order they come in.</summary>
    /// <param name="parts">One record for each shard; at least one.</param>
    /// <exception cref="ArgumentException">
    /// There is no record, there are two of one shard, or the numbers of channels differ.
    /// </exception>
    /// <exception cref="InvalidDataException">The variance of a channel overflows a double.</exception>
    public static BatchStatistics Merge(IEnumerable<PartialStatistics> parts)
    {
        ArgumentNullException.ThrowIfNull(parts);
        PartialStatistics[] ordered = [.. parts.OrderBy(part => part.Shard, StringComparer.Ordinal)];
        if (ordered.Length == 0)
            throw new ArgumentException("There are no statistics to merge.", nameof(parts));
        var merged = new BatchStatistics(ordered[0].Statistics.Channels);
        for (int i = 0; i < ordered.Length; i++)
        {
            (string shard, BatchStatistics statistics) = ordered[i];
            if (i > 0 && shard == ordered[i - 1].Shard)
                throw new ArgumentException(
                    $"There are two records of shard {SafetensorsEntry.Quote(shard)}; its rows would count twice.",
                    nameof(parts));
            if (statistics.Channels != merged.Channels)
                throw new ArgumentException(
                    $"Shard {SafetensorsEntry.Quote(shard)} has {statistics.Channels} channels, shard "
                    + $"{SafetensorsEntry.Quote(ordered[0].Shard)} has {merged.Channels}.", nameof(parts));
            merged.Merge(statistics);
        }
        VarianceOverflow.ThrowIfAny(merged);
        return merged;
    }

    /// <summary>Writes the record as a line of JSON; the lines of other shards may follow.</summary>
    /// <param name="stream">Written from its current position, neither flushed nor closed.</param>
    /// <exception cref="InvalidOperationException">A statistic is not finite. Nothing was written.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void SaveLine(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        CheckSavable();
        var record = new StatisticsRecord(Format, Shard)
        {
            Count = Statistics.Count.ToArray(),
            Mean = Statistics.Mean.ToArray(),
            MeanRest = Statistics.MeanRest.ToArray(),
            M2 = Statistics.M2.ToArray(),
            M2Rest = Statistics.M2Rest.ToArray(),
        };
        stream.Write(Encoding.UTF8.GetBytes(Definition.ToText(record, json) + "\n"));
    }

    /// <summary>Reads records that are lines of JSON; empty lines and a byte order mark are skipped.</summary>
    /// <param name="stream">Read to its end while the records are enumerated.</param>
    /// <remarks>
    /// Memory grows with the bytes that arrive, and a line has at most 64 MB. A record must not have unknown members.
    /// </remarks>
    /// <exception cref="InvalidDataException">
    /// A line is not a record, or a value in it is out of range; the message has the line's number.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static IEnumerable<PartialStatistics> LoadLines(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return Lines(stream).Select((line, index) => index == 0 ? line.TrimStart('\uFEFF') : line)
            .Select((line, index) => string.IsNullOrWhiteSpace(line) ? null : OfLine(line, index + 1))
            .OfType<PartialStatistics>();
    }

    /// <summary>Writes the record as a safetensors file.</summary>
    /// <param name="stream">Written from its current position, neither flushed nor closed.</param>
    /// <exception cref="InvalidOperationException">A statistic is not finite. Nothing was written.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void Save(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        CheckSavable();
        double[] packed = Statistics.Packed.ToArray();
        int channels = Statistics.Channels;
        SafetensorsWriter.Write(
            stream, FileKind.Partial, Definition.ToText(new StatisticsRecord(Format, Shard), json),
            StatisticsRecord.Arrays.Select((name, i) => new SafetensorsTensor(
                name, SafetensorsShape.Of(channels), packed[(i * channels)..((i + 1) * channels)])));
    }

    /// <summary>Reads what <see cref="Save"/>, or another program, wrote as a safetensors file.</summary>
    /// <param name="stream">Read to the file's last byte and not further. It need not be able to seek.</param>
    /// <remarks>Memory grows with the bytes that arrive, not with the lengths that the file claims.</remarks>
    /// <exception cref="InvalidDataException">
    /// The stream holds no such file, or it is truncated, damaged, or has a value out of range; the message says which.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static PartialStatistics Load(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var file = new SafetensorsReader(stream);
        StatisticsRecord record = Definition.Parse<StatisticsRecord>(file.DefinitionOf(FileKind.Partial), json);
        var expected = new ExpectedTensors("record");
        var shape = new TensorShape(LayerSearch.Channels(file.Header, StatisticsRecord.Arrays[0]));
        foreach (string name in StatisticsRecord.Arrays)
        {
            expected.Add(new FileTensor(
                new TensorSpec(name, shape, TensorType.F64, TensorRole.Statistic)
                {
                    IsOptional = StatisticsRecord.IsRest(name),
                },
                name));
        }
        expected.Match(file.Header);
        SafetensorsValues values = file.Read(expected.Needs, toEnd: false);
        return Of(record.Format, record.Shard, name => values.Has(name) ? values.Doubles(name) : null);
    }

    static PartialStatistics OfLine(string line, int number)
    {
        try
        {
            StatisticsRecord record = Definition.Parse<StatisticsRecord>(line, json);
            return Of(record.Format, record.Shard, record.Array);
        }
        catch (InvalidDataException error)
        {
            throw new InvalidDataException(
                string.Create(CultureInfo.InvariantCulture, $"Line {number}: {error.Message}"), error);
        }
    }

    static PartialStatistics Of(string format, string shard, Func<string, double[]?> array)
    {
        if (format != Format)
            throw new InvalidDataException(
                $"The record has the format {SafetensorsEntry.Quote(format)}; this library reads \"{Format}\".");
        double[]?[] arrays = Array.ConvertAll(StatisticsRecord.Arrays, name => array(name));
        for (int i = 0; i < arrays.Length; i++)
        {
            if (arrays[i] is null && !StatisticsRecord.IsRest(StatisticsRecord.Arrays[i]))
                throw new InvalidDataException($"The record has no \"{StatisticsRecord.Arrays[i]}\".");
        }
        try
        {
            return new PartialStatistics(
                shard, new BatchStatistics(arrays[0], arrays[1], arrays[2], arrays[3], arrays[4]));
        }
        catch (ArgumentException error)
        {
            throw new InvalidDataException($"The record is wrong: {Check.Text(error)}", error);
        }
    }

    static IEnumerable<string> Lines(Stream stream)
    {
        byte[] bytes = new byte[FirstBytes];
        int searched = 0, end = 0;
        while (true)
        {
            int begin = 0;
            for (int length; (length = bytes.AsSpan(searched, end - searched).IndexOf((byte)'\n')) >= 0;)
            {
                yield return Encoding.UTF8.GetString(bytes, begin, searched + length - begin);
                begin = searched += length + 1;
            }
            bytes.AsSpan(begin, end - begin).CopyTo(bytes);
            searched = end -= begin;
            if (end == bytes.Length)
            {
                if (end >= MostBytes)
                    throw new InvalidDataException(
                        $"A line has more than {MostBytes} bytes: write so many channels as safetensors.");
                Array.Resize(ref bytes, 2 * end);
            }
            int read = stream.Read(bytes, end, bytes.Length - end);
            if (read <= 0)
                break;
            end += read;
        }
        if (end > 0)
            yield return Encoding.UTF8.GetString(bytes, 0, end);
    }

    void CheckSavable()
    {
        if (!Finite.All(Statistics.Packed))
            throw new InvalidOperationException("The statistics cannot be saved: a value is not finite.");
    }
}

/// <summary>A record as JSON has it. In a safetensors file, the arrays are tensors.</summary>
/// <param name="Format">The format, <see cref="PartialStatistics.Format"/>.</param>
/// <param name="Shard">The shard's key: a string, or a number that another program wrote.</param>
sealed record StatisticsRecord(
    string Format, [property: JsonConverter(typeof(ShardConverter))] string Shard)
{
    public double[]? Count { get; init; }

    public double[]? Mean { get; init; }

    public double[]? MeanRest { get; init; }

    public double[]? M2 { get; init; }

    public double[]? M2Rest { get; init; }

    /// <summary>The names of the arrays, in the order of <see cref="BatchStatistics.Packed"/>.</summary>
    public static string[] Arrays { get; } = ["count", "mean", "m2", "mean_rest", "m2_rest"];

    /// <summary>Whether a record may lack an array.</summary>
    public static bool IsRest(string name) => name.EndsWith("_rest", StringComparison.Ordinal);

    public double[]? Array(string name) => name switch
    {
        "count" => Count,
        "mean" => Mean,
        "m2" => M2,
        "mean_rest" => MeanRest,
        _ => M2Rest,
    };
}

/// <summary>Reads a shard's key, which is a string or a number.</summary>
sealed class ShardConverter : JsonConverter<string>
{
    public override string? Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
        reader.TokenType switch
        {
            JsonTokenType.String => reader.GetString(),
            JsonTokenType.Number => Number(reader.ValueSpan),
            _ => throw new JsonException("The shard is neither a string nor a number."),
        };

    public override void Write(Utf8JsonWriter writer, string value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value);

    /// <summary>One number is one key, however it is written: programs make 3.0 of 3.</summary>
    static string Number(ReadOnlySpan<byte> text) => text.IndexOfAny(".eE"u8) < 0
        ? Encoding.UTF8.GetString(text)
        : (double.Parse(text, CultureInfo.InvariantCulture) + 0.0).ToString("R", CultureInfo.InvariantCulture);
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, AllowDuplicateProperties = false,
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(StatisticsRecord))]
sealed partial class StatisticsJson : JsonSerializerContext;
