using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// The data that a <see cref="BatchNormalizationTransformer"/> gives. It stands in for ML.NET's own
/// <see cref="RowToRowMapperTransform"/>, which hands rows from thread to thread to spread the work of a mapper over
/// them: that costs a multiple of normalizing a row. Here a row is normalized where it is read, and threads are as many
/// as the source gives cursors. Schema, saving and single rows are those of ML.NET's view.
/// </summary>
/// <param name="host">The transformer's host.</param>
/// <param name="transformer">The transformer.</param>
/// <param name="mapped">ML.NET's view of the same data.</param>
/// <param name="bindings">Which columns of the view the transformer adds.</param>
sealed class NormalizedDataView(
    IHost host, BatchNormalizationTransformer transformer, RowToRowMapperTransform mapped, ColumnBindings bindings)
    : RowToRowTransformBase(host, mapped.Source), IRowToRowMapper, ITransformCanSaveOnnx, ITransformTemplate
{
    readonly DriftWarning warning = new();
    readonly DataViewSchema.Column? mask =
        transformer.Settings.WarnOnDrift ? transformer.MaskIn(mapped.Source.Schema) : null;

    /// <inheritdoc/>
    public override DataViewSchema OutputSchema => mapped.OutputSchema;

    DataViewSchema IRowToRowMapper.InputSchema => mapped.InputSchema;

    /// <inheritdoc/>
    public override DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null)
    {
        bool[] active = Active(columnsNeeded);
        bool isChecked = IsChecked(active);
        DataViewRowCursor[] inputs = Source.GetRowCursorSet(Read(columnsNeeded, isChecked), n, rand);
        return Cursors(inputs, active, Check(isChecked, inputs.Length));
    }

    /// <inheritdoc/>
    protected override DataViewRowCursor GetRowCursorCore(
        IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = Active(columnsNeeded);
        bool isChecked = IsChecked(active);
        DataViewRowCursor input = Source.GetRowCursor(Read(columnsNeeded, isChecked), rand);
        return Cursors([input], active, Check(isChecked, cursors: 1))[0];
    }

    /// <inheritdoc/>
    protected override bool? ShouldUseParallelCursors(Func<int, bool> predicate) => false;

    /// <inheritdoc/>
    protected override void SaveModel(ModelSaveContext ctx) => ((ICanSaveModel)mapped).Save(ctx);

    IEnumerable<DataViewSchema.Column> IRowToRowMapper.GetDependencies(
        IEnumerable<DataViewSchema.Column> dependingColumns) => Dependencies(dependingColumns);

    DataViewRow IRowToRowMapper.GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns) =>
        ((IRowToRowMapper)mapped).GetRow(input, activeColumns);

    bool ICanSaveOnnx.CanSaveOnnx(OnnxContext ctx) => true;

    void ISaveAsOnnx.SaveAsOnnx(OnnxContext ctx) => transformer.SaveAsOnnx(ctx, Source);

    IDataTransform ITransformTemplate.ApplyToData(IHostEnvironment env, IDataView newSource) =>
        (IDataTransform)transformer.Transform(newSource);

    IEnumerable<DataViewSchema.Column> Dependencies(IEnumerable<DataViewSchema.Column> columns) =>
        ((IRowToRowMapper)mapped).GetDependencies(columns);

    bool[] Active(IEnumerable<DataViewSchema.Column> columns)
    {
        Func<int, bool> isActive = RowCursorUtils.FromColumnsToPredicate(columns, OutputSchema);
        return [.. Enumerable.Range(0, OutputSchema.Count).Select(isActive)];
    }

    /// <summary>The source's columns that a cursor reads, with the mask's where rows are sampled.</summary>
    IEnumerable<DataViewSchema.Column> Read(IEnumerable<DataViewSchema.Column> columns, bool isChecked) =>
        mask is { } counts && isChecked ? Dependencies(columns).Append(counts).Distinct() : Dependencies(columns);

    DriftCheck? Check(bool isChecked, int cursors) =>
        isChecked ? new DriftCheck(Host, warning, cursors, Source.GetRowCount(), mask) : null;

    bool IsChecked(bool[] active) =>
        transformer.Settings.WarnOnDrift
        && Array.Exists(bindings.AddedColumnIndices.ToArray(), added => active[added])
        && warning.IsDue();

    DataViewRowCursor[] Cursors(DataViewRowCursor[] inputs, bool[] active, DriftCheck? check)
    {
        try
        {
            return Array.ConvertAll(inputs, DataViewRowCursor (input) => Cursor(input, active, check));
        }
        catch
        {
            foreach (DataViewRowCursor input in inputs)
                input.Dispose();
            throw;
        }
    }

    NormalizedCursor Cursor(DataViewRowCursor input, bool[] active, DriftCheck? check)
    {
        PassSamples? samples = check is null ? null : new PassSamples(check, input);
        Delegate?[] getters =
        [
            .. bindings.AddedColumnIndices.Select(
                (added, i) => active[added] ? transformer.Getter(input, i, samples) : null),
        ];
        return new NormalizedCursor(
            Host, input, OutputSchema, bindings, active, getters, samples is null ? null : samples.Complete);
    }
}
