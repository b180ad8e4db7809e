using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;
using Options = Microsoft.ML.Transforms.BatchNormalizationEstimator.Options;

namespace Microsoft.ML.Transforms;

/// <summary>What this library puts into the entries of an ML.NET model: a safetensors file each.</summary>
static class ModelEntry
{
    const string Columns = "mlnet.batchNormalization", Layers = "mlnet.applyNetwork";

    static readonly JsonSerializerOptions json = Definition.Options(EntryJson.Default);

    /// <summary>The version of an entry that has had no other layout yet.</summary>
    /// <remarks>
    /// The assembly is named without a version, so that a later version of this library loads the file, and an earlier
    /// one can say that the file is too new for it.
    /// </remarks>
    public static VersionInfo FirstVersion(string modelSignature, string loaderSignature) => new(
        modelSignature,
        verWrittenCur: 0x00010001,
        verReadableCur: 0x00010001,
        verWeCanReadBack: 0x00010001,
        loaderAssemblyName: typeof(ModelEntry).Assembly.GetName().Name,
        loaderSignature);

    /// <summary>Writes a trained network.</summary>
    public static void Write(ModelSaveContext ctx, Network network, NetworkState state) =>
        network.Save(Stream(ctx), state);

    /// <summary>Reads a trained network, which has ML.NET's size of a float before it (int32, 4).</summary>
    public static SavedNetwork ReadModel(IHostEnvironment env, ModelLoadContext ctx) => Read(env, () =>
    {
        env.CheckDecode(ctx.Reader.ReadInt32() == sizeof(float), "A network's model was saved with other floats.");
        return Network.Load(ctx.Reader.BaseStream);
    });

    /// <summary>Writes a network with the columns that it is applied to.</summary>
    public static void WriteLayers(
        ModelSaveContext ctx, string output, string input, Network network, NetworkState state)
    {
        CheckNames(output, input);
        SafetensorsWriter.Write(
            Stream(ctx), Layers, Definition.ToText(new LayersDefinition(output, input, network), json),
            [.. network.ModuleTensors(""), .. network.StateTensors(state, "")]);
    }

    public static (string Output, string Input, SavedNetwork Saved) ReadLayers(
        IHostEnvironment env, ModelLoadContext ctx) => Read(env, () =>
    {
        var file = new SafetensorsReader(ctx.Reader.BaseStream);
        (string output, string input, Network network) =
            Definition.Parse<LayersDefinition>(file.DefinitionOf(Layers), json);
        return (NonEmpty(env, output), NonEmpty(env, input), network.LoadTensors(file));
    });

    /// <summary>Writes the columns of a transformer, and how it is fitted on.</summary>
    public static void WriteColumns(ModelSaveContext ctx, Options settings, BatchNormalizationColumn[] columns)
    {
        foreach (BatchNormalizationColumn column in columns)
            CheckNames(column.OutputColumnName, column.InputColumnName);
        CheckNames(settings.MaskColumnName);
        var definition = new ColumnsDefinition(settings, Array.ConvertAll(columns, column => new ColumnDefinition(
            column.OutputColumnName, column.InputColumnName,
            column.Options.Or(BatchNormalizationOptions.Keras), column.Input)));
        SafetensorsWriter.Write(
            Stream(ctx), Columns, Definition.ToText(definition, json),
            columns.SelectMany(column => TensorsOf(column.OutputColumnName, column.Options, column.State.Channels)
                .Write(new LayerState(column.State))));
    }

    public static (Options Settings, BatchNormalizationColumn[] Columns) ReadColumns(
        IHostEnvironment env, ModelLoadContext ctx) => Read(env, () =>
    {
        var file = new SafetensorsReader(ctx.Reader.BaseStream);
        (Options settings, ColumnDefinition[] columns) =
            Definition.Parse<ColumnsDefinition>(file.DefinitionOf(Columns), json);
        settings.Check(env);
        env.CheckDecode(
            columns.Length > 0 && Array.TrueForAll(columns, column => column is not null),
            "A batch normalization has at least one column.");
        var expected = new ExpectedTensors("transformer");
        LayerTensors[] layers = Array.ConvertAll(columns, column => expected.Add(TensorsOf(
            NonEmpty(env, column.Output), column.Options,
            LayerSearch.Channels(file.Header, $"{column.Output}/{BatchNormalizationTensors.Mean}"))));
        expected.Match(file.Header);
        SafetensorsValues values = file.Read(expected.Needs, toEnd: false);
        return (settings, columns.Zip(layers, (column, layer) =>
        {
            SavedBatchNormalization saved = BatchNormalizationState.Fitting(
                column.Options, layer.Read(values)!.BatchNormalization!);
            return new BatchNormalizationColumn(
                column.Output, NonEmpty(env, column.Input), saved.Options, saved.State, column.Fitted);
        }).ToArray());
    });

    /// <summary>Whatever is wrong with what is read is ML.NET's decode error.</summary>
    static T Read<T>(IHostEnvironment env, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception error) when (error is InvalidDataException or EndOfStreamException or ArgumentException)
        {
            throw env.ExceptDecode(error, $"An entry of the model cannot be read: {error.Message}");
        }
    }

    static LayerTensors TensorsOf(string output, BatchNormalizationOptions options, int channels) =>
        new(BatchNormalizationTensors.Specs(options, channels), $"{output}/", TensorNames.Own, output);

    static Stream Stream(ModelSaveContext ctx)
    {
        ctx.Writer.Flush();
        return ctx.Writer.BaseStream;
    }

    static string NonEmpty(IHostEnvironment env, string name)
    {
        env.CheckDecode(name.Length > 0, "A column's name is empty.");
        return name;
    }

    static void CheckNames(params ReadOnlySpan<string?> names)
    {
        foreach (string? name in names)
        {
            if (name is not null && Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(name)) != name)
                throw new InvalidOperationException(
                    $"A model cannot be saved whose column's name '{name}' has half a surrogate pair.");
        }
    }
}

/// <summary>A transformer's columns, without their states, and how it is fitted on.</summary>
sealed record ColumnsDefinition(Options Settings, ColumnDefinition[] Columns);

/// <summary>A column: its names, its layer's options, and what it was fitted to, where that is known.</summary>
sealed record ColumnDefinition(string Output, string Input, BatchNormalizationOptions Options, FittedInput? Fitted);

/// <summary>A network and the columns that it is applied to.</summary>
sealed record LayersDefinition(string Output, string Input, Network Network);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, AllowDuplicateProperties = false,
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(ColumnsDefinition))]
[JsonSerializable(typeof(Options), TypeInfoPropertyName = "FitOptions")]
[JsonSerializable(typeof(LayersDefinition))]
sealed partial class EntryJson : JsonSerializerContext;
