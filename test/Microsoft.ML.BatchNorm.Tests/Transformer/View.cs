using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

/// <summary>Data views of one column X over rows in memory.</summary>
static class View
{
    public static MLContext ML { get; } = new(1);

    public static IDataView Scalars<T>(params T[] values) =>
        ML.Data.LoadFromEnumerable(values.Select(value => new Scalar<T> { X = value }).ToArray());

    public static IDataView Vectors<T>(VBuffer<T>[] rows, params int[] dimensions) =>
        Vectors(rows, dimensions, slotNames: null);

    public static IDataView Vectors<T>(VBuffer<T>[] rows, int[] dimensions, string[]? slotNames)
    {
        SchemaDefinition definition = SchemaDefinition.Create(typeof(Vector<T>));
        PrimitiveDataViewType item = typeof(T) == typeof(float) ? NumberDataViewType.Single
            : typeof(T) == typeof(double) ? NumberDataViewType.Double : NumberDataViewType.Int32;
        definition["X"].ColumnType = new VectorDataViewType(item, dimensions);
        if (slotNames is not null)
            definition["X"].AddAnnotation(
                "SlotNames",
                new VBuffer<ReadOnlyMemory<char>>(
                    slotNames.Length, Array.ConvertAll(slotNames, name => name.AsMemory())),
                new VectorDataViewType(TextDataViewType.Instance, slotNames.Length));
        return ML.Data.LoadFromEnumerable(rows.Select(row => new Vector<T> { X = row }).ToArray(), definition);
    }

    public static VBuffer<T>[] Dense<T>(T[][] rows) => Array.ConvertAll(rows, row => new VBuffer<T>(row.Length, row));

    public static float[][] Floats(int rows, int length, int seed = 1) =>
        [.. Sample.Floats(rows * length, seed, mean: 3, deviation: 2).Chunk(length)];

    public static double[][] Doubles(int rows, int length, int seed = 1) =>
        [.. Sample.Doubles(rows * length, seed, mean: 3, deviation: 2).Chunk(length)];

    public static T[][] Rows<T>(this IDataView view, string column) => [.. view.GetColumn<T[]>(column)];

    public sealed class Scalar<T>
    {
        public T X { get; set; } = default!;
    }

    public sealed class Vector<T>
    {
        public VBuffer<T> X { get; set; }
    }
}
