using System.Runtime.InteropServices;
using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Estimator;

/// <summary>A data view's schema and values as text, every bit of each, so that two of them can be compared.</summary>
static class Table
{
    public static string[] Schema(DataViewSchema schema) => [.. schema.Select(Describe)];

    public static string[] Values(IDataView view) =>
        [.. view.Preview(int.MaxValue).RowView.Select(row =>
            string.Join(" ", row.Values.Select(cell => $"{cell.Key}={Describe(cell.Value)}")))];

    static string Describe(DataViewSchema.Column column) =>
        $"{column.Name} {column.Type} {(column.IsHidden ? "hidden" : "visible")} " +
        string.Join(", ", column.Annotations.Schema.Select(
            kind => $"{kind.Name} {kind.Type} {Value(column.Annotations, kind)}"));

    static string Value(DataViewSchema.Annotations annotations, DataViewSchema.Column kind) =>
        kind.Type == BooleanDataViewType.Instance ? Describe(Get<bool>(annotations, kind))
        : kind.Type is VectorDataViewType { ItemType: TextDataViewType }
            ? Describe(Get<VBuffer<ReadOnlyMemory<char>>>(annotations, kind))
            : "";

    static T Get<T>(DataViewSchema.Annotations annotations, DataViewSchema.Column kind)
    {
        T value = default!;
        annotations.GetValue(kind.Name, ref value);
        return value;
    }

    static string Describe(object? value) => value switch
    {
        float single => Bits<float>([single]),
        double wide => Bits<double>([wide]),
        VBuffer<float> vector => Bits<float>([.. vector.DenseValues()]),
        VBuffer<double> vector => Bits<double>([.. vector.DenseValues()]),
        VBuffer<ReadOnlyMemory<char>> texts => string.Join("|", texts.DenseValues()),
        _ => $"{value}",
    };

    static string Bits<T>(T[] values) where T : struct =>
        Convert.ToHexString(MemoryMarshal.AsBytes<T>(values));
}
