using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>One pass over a cursor's rows, which counts them and looks for a cancellation.</summary>
/// <param name="host">Whose errors and cancellation it is.</param>
/// <param name="counted">Where rows are counted.</param>
abstract class FitPass(IHost host, RowCount counted)
{
    /// <summary>How often a cancellation is looked for.</summary>
    protected const int RowsBetweenChecks = 256;

    long moved;

    protected IHost Host { get; } = host;

    protected RowCount Counted { get; } = counted;

    /// <param name="cursor">The rows.</param>
    /// <param name="mask">Whether a row counts, or null where all do.</param>
    public abstract void Read(DataViewRowCursor cursor, ValueGetter<bool>? mask);

    /// <summary>Moves to the next row that counts.</summary>
    protected bool MoveNext(DataViewRowCursor cursor, ValueGetter<bool>? mask)
    {
        while (cursor.MoveNext())
        {
            if (++moved % RowsBetweenChecks == 0)
                Host.CheckAlive();
            bool counts = true;
            mask?.Invoke(ref counts);
            if (counts)
                return true;
        }
        return false;
    }
}
