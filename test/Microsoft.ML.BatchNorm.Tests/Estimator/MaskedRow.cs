using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Estimator;

/// <summary>A vector X, and whether its row counts.</summary>
sealed class MaskedRow
{
    public float[] X { get; set; } = [];

    public bool Counts { get; set; }

    public static IDataView View(float[][] rows, Func<int, bool> counts, params int[] dimensions)
    {
        SchemaDefinition definition = SchemaDefinition.Create(typeof(MaskedRow));
        definition["X"].ColumnType = new VectorDataViewType(
            NumberDataViewType.Single, dimensions is [] ? [rows[0].Length] : dimensions);
        return Transformer.View.ML.Data.LoadFromEnumerable(
            rows.Select((row, i) => new MaskedRow { X = row, Counts = counts(i) }).ToArray(), definition);
    }
}
