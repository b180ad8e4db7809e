using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

// How data is transformed: as a view, as a mapper of single rows, for estimators down a chain, and as an ONNX graph.
// The class names ITransformer again, so that its own Transform is the one that the interface calls.
public sealed partial class BatchNormalizationTransformer
    : ITransformer, ITransformerWithDifferentMappingAtTrainingTime
{
    /// <summary>
    /// The data with the normalized columns appended. Nothing is computed until a cursor's getter asks for it.
    /// </summary>
    /// <remarks>
    /// If <see cref="BatchNormalizationEstimator.Options.WarnOnDrift"/> is set, a cursor that reads a normalized column
    /// to the end of the data samples the rows, and the view warns once if they have drifted. A column that is marked
    /// as normalized, although the one that the layer was fitted to was not, is a warning too.
    /// </remarks>
    /// <param name="input">Data with every input column.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// An input column is missing, or has another type or size.
    /// </exception>
    public new IDataView Transform(IDataView input)
    {
        Host.CheckValue(input, nameof(input));
        WarnOfNormalized(input.Schema);
        var bindings = new ColumnBindings(input.Schema, MakeRowMapper(input.Schema).GetOutputColumns());
        return new NormalizedDataView(Host, this, MakeDataTransform(input), bindings);
    }

    /// <summary>The data that the estimators after this one in a chain are trained on.</summary>
    IDataView ITransformerWithDifferentMappingAtTrainingTime.TransformForTrainingPipeline(IDataView input)
    {
        Host.CheckValue(input, nameof(input));
        IDataView transformed = Transform(input);
        return Settings.TrainDownstreamOn == DownstreamStatistics.Moving
            ? transformed
            : new DownstreamView(
                Host, input, transformed, columns, Settings.BatchSize,
                Settings.FindMask(Host, input.Schema, columns.Select(column => column.Options))
                    ?? MaskIn(input.Schema));
    }

    /// <inheritdoc/>
    protected override IRowMapper MakeRowMapper(DataViewSchema schema) => new Mapper(this, schema);

    /// <inheritdoc/>
    protected override void CheckInputColumn(DataViewSchema inputSchema, int col, int srcCol) =>
        Layout(columns[col], inputSchema[srcCol]);

    /// <summary>The getter of a normalized column. It also samples rows if it is given where.</summary>
    internal Delegate Getter(DataViewRow input, int index, DriftCheck.CursorSamples? samples = null)
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

    /// <summary>Adds the normalized columns to an ONNX graph.</summary>
    /// <param name="ctx">The graph of the steps before.</param>
    /// <param name="input">The data that goes into the transformer.</param>
    internal void SaveAsOnnx(OnnxContext ctx, IDataView input)
    {
        Host.CheckValue(ctx, nameof(ctx));
        ctx.CheckOpSetVersion(OnnxColumn.MinimumOpSet, LoaderSignature);
        IDataView root = input;
        while (root is IDataTransform transform)
            root = transform.Source;

        // All inputs are looked up before any output is added: an output may have the name of a later input.
        string?[] variables = Array.ConvertAll(
            columns,
            column => ctx.ContainsColumn(column.InputColumnName) ? ctx.GetVariableName(column.InputColumnName) : null);
        for (int i = 0; i < columns.Length; i++)
        {
            BatchNormalizationColumn column = columns[i];
            if (variables[i] is not string variable)
            {
                ctx.RemoveColumn(column.OutputColumnName, removeVariable: false);
                continue;
            }
            DataViewType type = input.Schema[column.InputColumnName].Type;
            string output = ctx.AddIntermediateVariable(type, column.OutputColumnName);
            // A graph does not see the mask, so values that only a hidden row may hold pass in every row.
            bool passesNonFinite = column.Options.NonFinite == NonFinite.Ignore || Settings.MaskColumnName is not null;
            var nodes = new OnnxColumn(ctx, column, type, passesNonFinite);
            // Only an input of the graph is a column of the first data under its own name.
            bool isGraphInput =
                variable == column.InputColumnName && root.Schema.GetColumnOrNull(variable) is not null;
            nodes.Save(isGraphInput ? variable : nodes.InDeclaredShape(variable), output);
        }
    }

    void WarnOfNormalized(DataViewSchema schema)
    {
        string[] marked =
        [
            .. columns.Where(column => column.Input is { IsNormalized: false })
                .Select(column => column.InputColumnName)
                .Where(name => schema.GetColumnOrNull(name)?.IsNormalized() == true),
        ];
        if (marked.Length == 0)
            return;
        using IChannel channel = Host.Start(nameof(Transform));
        foreach (string name in marked)
        {
            channel.Warning(
                $"Column '{name}' is marked as normalized, and the layer was fitted to one that was not: its values " +
                "are normalized a second time. Pass the data that goes into the transformer.");
        }
    }

    ChannelLayout Layout(BatchNormalizationColumn column, DataViewSchema.Column input)
    {
        ChannelLayout layout = RowLayout.Of(Host, input, column.Axis, column.Input);
        return layout.Channels == column.State.Channels
            ? layout
            : throw RowLayout.Mismatch(Host, input, $"{column.State.Channels} channels along axis {column.Axis}");
    }

    /// <summary>The mask column, which is looked at if a value of the column is not finite; null if it never is.</summary>
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

/// <summary>
/// The annotations of a normalized column. It keeps those of the input about its slots' names and its visibility. Those
/// about its values (what a score means, which slots indicate a category) no longer hold.
/// </summary>
static class NormalizedAnnotations
{
    public static DataViewSchema.Annotations Of(DataViewSchema.Column input)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        builder.Add(input.Annotations, Keeps);
        builder.Add(
            AnnotationUtils.Kinds.IsNormalized, BooleanDataViewType.Instance,
            (ValueGetter<bool>)((ref bool value) => value = true));
        return builder.ToAnnotations();
    }

    /// <summary>The annotations that an estimator promises for its output.</summary>
    public static SchemaShape Of(SchemaShape.Column input) => new(
        input.Annotations.Where(annotation => Keeps(annotation.Name)).Append(new SchemaShape.Column(
            AnnotationUtils.Kinds.IsNormalized, SchemaShape.Column.VectorKind.Scalar, BooleanDataViewType.Instance,
            isKey: false)));

    static bool Keeps(string kind) =>
        kind is AnnotationUtils.Kinds.SlotNames or AnnotationUtils.Kinds.IsUserVisible;
}
