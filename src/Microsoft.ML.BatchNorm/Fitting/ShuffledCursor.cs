using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// A cursor's rows in another order: a pool is filled, any row of it comes next, and the row behind takes its place. A
/// row comes earlier by less than a pool at most, and later by any number; each comes once. The order is decided by
/// the seed alone.
/// </summary>
/// <remarks>
/// On the caller's thread, so that errors of the view are as they are, and nothing reads on when the cursor is
/// disposed.
/// <see cref="Position"/> is that of the row in the data.
/// </remarks>
sealed class ShuffledCursor : DataViewRowCursor
{
    /// <summary>Values in the pool, and what its rows are held to where they are short or long.</summary>
    const int PoolValues = 1 << 22, MostRows = 4096, LeastRows = 64;

    const int RowsBetweenChecks = 256;

    readonly IHost host;
    readonly DataViewRowCursor input;
    readonly Random random;
    readonly PooledColumn[] columns;
    readonly long[] positions;

    /// <summary>The places in the pool, those of the rows that are still to come first.</summary>
    readonly int[] places;
    readonly ValueGetter<DataViewRowId>? idGetter;
    int live, shown = -1;
    bool started, ended;

    ShuffledCursor(
        IHost host, DataViewRowCursor input, IReadOnlyCollection<DataViewSchema.Column> needed, bool isShuffled,
        Random random)
    {
        this.host = host;
        this.input = input;
        this.random = random;
        int values = needed.Sum(column => column.Type.GetValueCount());
        int rows = Math.Clamp(PoolValues / values, LeastRows, MostRows);
        columns = [.. needed.Select(column => PooledColumn.Of(input, column, rows))];
        positions = new long[rows];
        places = [.. Enumerable.Range(0, rows)];
        idGetter = isShuffled ? input.GetIdGetter() : null;
    }

    /// <summary>Opens a cursor whose view shuffles its rows first, where it can.</summary>
    public static ShuffledCursor Open(
        IHost host, IDataView view, IReadOnlyCollection<DataViewSchema.Column> needed, int seed)
    {
        var random = new Random(seed);
        DataViewRowCursor input = view.GetRowCursor(needed, view.CanShuffle ? new Random(random.Next()) : null);
        try
        {
            return new ShuffledCursor(host, input, needed, view.CanShuffle, random);
        }
        catch
        {
            input.Dispose();
            throw;
        }
    }

    public override long Position => shown < 0 ? -1 : positions[places[shown]];

    public override long Batch => 0;

    public override DataViewSchema Schema => input.Schema;

    public override bool IsColumnActive(DataViewSchema.Column column) =>
        Array.Exists(columns, candidate => candidate.Column.Index == column.Index);

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
        Array.Find(columns, candidate => candidate.Column.Index == column.Index)?.Getter(() => places[shown])
            as ValueGetter<TValue>
        ?? throw host.Except($"Column '{column.Name}' was not asked for as {typeof(TValue)}.");

    public override ValueGetter<DataViewRowId> GetIdGetter() =>
        (ref value) => value = new DataViewRowId((ulong)Position, 0);

    public override bool MoveNext()
    {
        if (!started)
            Fill();
        else if (live > 0 && !Read(places[shown]))
            places[shown] = places[--live];
        shown = live > 0 ? random.Next(live) : -1;
        return live > 0;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            input.Dispose();
        base.Dispose(disposing);
    }

    void Fill()
    {
        started = true;
        while (live < places.Length && Read(live))
        {
            if (++live % RowsBetweenChecks == 0)
                host.CheckAlive();
        }
    }

    bool Read(int place)
    {
        if (ended || !input.MoveNext())
        {
            ended = true;
            return false;
        }
        foreach (PooledColumn column in columns)
            column.Read(place);
        positions[place] = InputPosition();
        return true;
    }

    /// <summary>Views in memory that shuffle tell a row's place by its id.</summary>
    long InputPosition()
    {
        DataViewRowId id = default;
        idGetter?.Invoke(ref id);
        return idGetter is null || id.High != 0 ? input.Position : (long)id.Low;
    }
}
