using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>The rows of a <see cref="NormalizedDataView"/>: the source's, with getters of the added columns.</summary>
/// <param name="provider">Who opens the cursor's channel.</param>
/// <param name="input">The source's cursor, which this one disposes of.</param>
/// <param name="schema">The view's schema.</param>
/// <param name="bindings">Which of its columns are the source's.</param>
/// <param name="active">Which of its columns were asked for.</param>
/// <param name="getters">The getters of the added columns, null where not asked for.</param>
/// <param name="disposer">What is to be done when the getters are no longer needed.</param>
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
