using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

public sealed partial class BatchNormalizationTransformer
{
    /// <inheritdoc/>
    protected override IRowMapper MakeRowMapper(DataViewSchema schema) => new Mapper(this, schema);

    /// <inheritdoc/>
    protected override void CheckInputColumn(DataViewSchema inputSchema, int col, int srcCol) =>
        Layout(columns[col], inputSchema[srcCol]);

    ChannelLayout Layout(BatchNormalizationColumn column, DataViewSchema.Column input)
    {
        ChannelLayout layout = RowLayout.Of(Host, input, column.Axis, column.Input);
        return layout.Channels == column.State.Channels
            ? layout
            : throw RowLayout.Mismatch(Host, input, $"{column.State.Channels} channels along axis {column.Axis}");
    }

    /// <summary>The getter of a normalized column, which samples the rows that it gives where asked to.</summary>
    internal Delegate Getter(DataViewRow input, int index, PassSamples? samples = null)
    {
        BatchNormalizationColumn column = columns[index];
        DataViewSchema.Column source = input.Schema[column.InputColumnName];
        ChannelLayout layout = Layout(column, source);
        RowSample? sample = samples?.Add(input, source, column, layout);
        return source.Type.GetItemType() == NumberDataViewType.Single
            ? new RowGetter<float>(Host, input, source, column.Map, layout).Create(sample as RowSample<float>)
            : new RowGetter<double>(Host, input, source, column.Map, layout).Create(sample as RowSample<double>);
    }

    sealed class Mapper(BatchNormalizationTransformer parent, DataViewSchema schema)
        : OneToOneMapperBase(parent.Host.Register(nameof(Mapper)), parent, schema)
    {
        protected override DataViewSchema.DetachedColumn[] GetOutputColumnsCore() =>
            [.. parent.columns.Select((column, i) => new DataViewSchema.DetachedColumn(
                column.OutputColumnName, Input(i).Type, NormalizedAnnotations.Of(Input(i))))];

        protected override Delegate MakeGetter(
            DataViewRow input, int iinfo, Func<int, bool> activeOutput, out Action? disposer)
        {
            disposer = null;
            return parent.Getter(input, iinfo);
        }

        DataViewSchema.Column Input(int column) => InputSchema[ColMapNewToOld[column]];
    }
}
