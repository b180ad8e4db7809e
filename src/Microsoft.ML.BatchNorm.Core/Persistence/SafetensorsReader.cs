namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>Reads the batch normalization under one prefix of a safetensors file.</summary>
static class SafetensorsReader
{
    public static SavedBatchNormalization Read(Stream stream, string prefix)
    {
        var source = new ByteSource(stream, "The file", isFile: true);
        SafetensorsHeader header = SafetensorsHeader.Read(source);
        SafetensorsLayer layer = SafetensorsLayer.Find(header, prefix);
        StateNames names = layer.Names;
        SafetensorsValues values = SafetensorsValues.Read(source, header, layer.Needs);

        var state = new BatchNormalizationState(
            values.Doubles(names.Mean), values.Doubles(names.Variance), Affine(names.Gamma), Affine(names.Beta),
            names.Batches is { } batches && values.Has(batches) ? values.Whole(batches) : 0, initialWeight: 0,
            layer.HasRenorm
                ? RenormStatistics.Of(
                    values.Doubles(names.Renorm[0]), values.Doubles(names.Renorm[1]), values.Doubles(names.Renorm[2]))
                : null,
            values.Population(names.Population, layer.Channels));
        return StateFault.Of(state, names) is { } fault
            ? throw new InvalidDataException(fault)
            : BatchNormalizationState.Saved(
                () => header.OptionsOf(prefix)?.Or(Network.OptionsOf(layer.Preset))
                    ?? Network.OptionsOf(layer.Preset) with
                    {
                        Scale = !state.Gamma.IsEmpty,
                        Center = !state.Beta.IsEmpty,
                        Renorm = layer.HasRenorm ? new() : null,
                    },
                state);

        float[] Affine(string name) => values.Has(name) ? values.Floats(name) : [];
    }
}
