using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// A cursor's rows in another order. It fills a pool with rows, gives any one of them, and reads the next row into its
/// place. Each row comes once: earlier by less than the size of the pool, or later by any number. The seed alone decides
/// the order.
/// </summary>
/// <remarks>
/// It reads on the caller's thread, so that errors of the view pass through unchanged and nothing reads on after the
/// cursor is disposed. <see cref="Position"/> is the row's position in the data.
/// </remarks>
sealed class ShuffledCursor : DataViewRowCursor
{
    /// <summary>The pool has this many values in all, within these bounds on its number of rows.</summary>
    const int PoolValues = 1 << 22, MostRows = 4096, LeastRows = 64;

    readonly IHost host;
    readonly DataViewRowCursor input;
    readonly Random random;
    readonly Pooled[] columns;
    readonly long[] positions;

    /// <summary>The places in the pool. The first <see cref="live"/> of them hold rows that are still to come.</summary>
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
        columns = [.. needed.Select(column => Pooled.Of(input, column, rows))];
        positions = new long[rows];
        places = [.. Enumerable.Range(0, rows)];
        idGetter = isShuffled ? input.GetIdGetter() : null;
    }

    /// <summary>Opens a cursor. If the view can shuffle its rows, it does so first.</summary>
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
            if (++live % Scan.RowsBetweenChecks == 0)
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
        foreach (Pooled column in columns)
            column.Read(place);
        positions[place] = InputPosition();
        return true;
    }

    /// <summary>The row's position in the data; views in memory that shuffle give it as the row's id.</summary>
    long InputPosition()
    {
        DataViewRowId id = default;
        idGetter?.Invoke(ref id);
        return idGetter is null || id.High != 0 ? input.Position : (long)id.Low;
    }

    /// <summary>One column of the pool.</summary>
    abstract class Pooled(DataViewSchema.Column column)
    {
        public DataViewSchema.Column Column => column;

        /// <summary>Room for some rows of a column to fit, or of the mask.</summary>
        public static Pooled Of(DataViewRow row, DataViewSchema.Column column, int rows) => column.Type.RawType switch
        {
            var type when type == typeof(float) => new OfScalars<float>(row, column, rows),
            var type when type == typeof(double) => new OfScalars<double>(row, column, rows),
            var type when type == typeof(bool) => new OfScalars<bool>(row, column, rows),
            var type when type == typeof(VBuffer<float>) => new OfVectors<float>(row, column, rows),
            _ => new OfVectors<double>(row, column, rows),
        };

        /// <summary>Reads the cursor's current row into a place.</summary>
        public abstract void Read(int place);

        /// <summary>A getter that gives the row at the place that is current when it is called.</summary>
        public abstract Delegate Getter(Func<int> current);

        sealed class OfScalars<T>(DataViewRow row, DataViewSchema.Column column, int rows) : Pooled(column)
        {
            readonly T[] values = new T[rows];
            readonly ValueGetter<T> getter = row.GetGetter<T>(column);

            public override void Read(int place) => getter(ref values[place]);

            public override Delegate Getter(Func<int> current) =>
                (ValueGetter<T>)((ref value) => value = values[current()]);
        }

        sealed class OfVectors<T>(DataViewRow row, DataViewSchema.Column column, int rows) : Pooled(column)
        {
            readonly VBuffer<T>[] values = new VBuffer<T>[rows];
            readonly ValueGetter<VBuffer<T>> getter = row.GetGetter<VBuffer<T>>(column);

            public override void Read(int place) => getter(ref values[place]);

            public override Delegate Getter(Func<int> current) =>
                (ValueGetter<VBuffer<T>>)((ref value) => values[current()].CopyTo(ref value));
        }
    }
}
