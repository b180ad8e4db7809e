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
        ValueGetter<bool>? mask = MaskOf(column, input.Schema) is { } counts ? input.GetGetter<bool>(counts) : null;
        return source.Type.GetItemType() == NumberDataViewType.Single
            ? new RowGetter<float>(Host, input, source, column, layout, mask).Create(sample as RowSample<float>)
            : new RowGetter<double>(Host, input, source, column, layout, mask).Create(sample as RowSample<double>);
    }

    /// <summary>The mask that is looked at where a value of the column is not finite; null where none is.</summary>
    DataViewSchema.Column? MaskOf(BatchNormalizationColumn column, DataViewSchema schema) =>
        column.Options.NonFinite == NonFinite.Throw ? MaskIn(schema) : null;

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

        protected override Func<int, bool> GetDependenciesCore(Func<int, bool> activeOutput)
        {
            Func<int, bool> inputs = base.GetDependenciesCore(activeOutput);
            int? mask = parent.columns.Where((_, i) => activeOutput(i))
                .Select(column => parent.MaskOf(column, InputSchema)?.Index).FirstOrDefault(index => index is not null);
            return index => index == mask || inputs(index);
        }

        DataViewSchema.Column Input(int column) => InputSchema[ColMapNewToOld[column]];
    }
}
