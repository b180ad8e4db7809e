using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// The view that a <see cref="BatchNormalizationTransformer"/> returns. It replaces ML.NET's own
/// <see cref="RowToRowMapperTransform"/>, which hands rows from thread to thread so that several threads share a
/// mapper's work. That takes several times as long as normalizing a row. Here a row is normalized on the thread that
/// reads it, and there are as many threads as cursors of the source. Schema, saving and single rows are left to ML.NET's
/// view.
/// </summary>
/// <param name="host">The transformer's host.</param>
/// <param name="transformer">The transformer.</param>
/// <param name="mapped">ML.NET's view of the same data.</param>
/// <param name="bindings">Which of the view's columns the transformer adds.</param>
sealed class NormalizedDataView(
    IHost host, BatchNormalizationTransformer transformer, RowToRowMapperTransform mapped, ColumnBindings bindings)
    : RowToRowTransformBase(host, mapped.Source), IRowToRowMapper, ITransformCanSaveOnnx, ITransformTemplate
{
    readonly DriftCheck.Schedule driftChecks = new();
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

    /// <summary>The source's columns that a cursor reads, with the mask if rows are sampled.</summary>
    IEnumerable<DataViewSchema.Column> Read(IEnumerable<DataViewSchema.Column> columns, bool isChecked) =>
        mask is { } counts && isChecked ? Dependencies(columns).Append(counts).Distinct() : Dependencies(columns);

    DriftCheck? Check(bool isChecked, int cursors) =>
        isChecked ? new DriftCheck(Host, driftChecks, cursors, Source.GetRowCount(), mask) : null;

    bool IsChecked(bool[] active) =>
        transformer.Settings.WarnOnDrift
        && Array.Exists(bindings.AddedColumnIndices.ToArray(), added => active[added])
        && driftChecks.IsDue();

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
        DriftCheck.CursorSamples? samples = check is null ? null : new DriftCheck.CursorSamples(check, input);
        Delegate?[] getters =
        [
            .. bindings.AddedColumnIndices.Select(
                (added, i) => active[added] ? transformer.Getter(input, i, samples) : null),
        ];
        return new NormalizedCursor(
            Host, input, OutputSchema, bindings, active, getters, samples is null ? null : samples.Complete);
    }
}

/// <summary>The source's rows, with getters of the normalized columns.</summary>
/// <param name="provider">Opens the cursor's channel.</param>
/// <param name="input">The source's cursor; this one disposes of it.</param>
/// <param name="schema">The view's schema.</param>
/// <param name="bindings">Which of its columns are the source's.</param>
/// <param name="active">Which of its columns were asked for.</param>
/// <param name="getters">The getters of the added columns, null for those that were not asked for.</param>
/// <param name="disposer">Called when the cursor is disposed of, or null.</param>
sealed class NormalizedCursor(
    IChannelProvider provider, DataViewRowCursor input, DataViewSchema schema, ColumnBindings bindings, bool[] active,
    Delegate?[] getters, Action? disposer)
    : SynchronizedCursorBase(provider, input)
{
    bool isDisposed;

    /// <inheritdoc/>
    public override DataViewSchema Schema => schema;

    /// <inheritdoc/>
    public override bool IsColumnActive(DataViewSchema.Column column)
    {
        Ch.CheckParam(column.Index < active.Length, nameof(column));
        return active[column.Index];
    }

    /// <inheritdoc/>
    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        Ch.CheckParam(IsColumnActive(column), nameof(column), "requested column is not active");
        int index = bindings.MapColumnIndex(out bool isSource, column.Index);
        if (isSource)
            return Input.GetGetter<TValue>(Input.Schema[index]);
        return getters[index] as ValueGetter<TValue>
            ?? throw Ch.Except(
                $"Invalid TValue in GetGetter: '{typeof(TValue)}', expected type: '{column.Type.RawType}'.");
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!isDisposed && disposing)
            disposer?.Invoke();
        isDisposed = true;
        base.Dispose(disposing);
    }
}
