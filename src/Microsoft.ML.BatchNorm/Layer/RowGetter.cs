using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// The getter of a normalized column, for the rows of one cursor or of one prediction engine; like them it is for one
/// thread at a time. It reads a row into the caller's buffer, which by ML.NET's rules belongs to the caller, and
/// normalizes it there.
/// </summary>
/// <param name="host">Reports errors.</param>
/// <param name="row">The row that is read.</param>
/// <param name="input">Its column.</param>
/// <param name="column">The layer.</param>
/// <param name="layout">Where the channels lie in the row.</param>
/// <param name="mask">Whether the row counts, or null if all rows do. A row that does not may hold any value.</param>
sealed class RowGetter<T>(
    IExceptionContext host, DataViewRow row, DataViewSchema.Column input, BatchNormalizationColumn column,
    ChannelLayout layout, ValueGetter<bool>? mask)
    where T : unmanaged, IFloatingPointIeee754<T>
{
    readonly RowMap<T> rowMap = column.Map.ForRows<T>(layout);
    RowMap<T>? hiddenMap;

    /// <param name="sample">Takes some of the rows as they are read; or null.</param>
    public Delegate Create(RowSample<T>? sample = null) => input.Type is VectorDataViewType
        ? new Vector(this, row.GetGetter<VBuffer<T>>(input), sample).Get
        : new Scalar(this, row.GetGetter<T>(input), sample).Get;

    /// <summary>
    /// Normalizes a row that the mask hides; its values that are not finite come out unchanged. False if the row counts.
    /// </summary>
    bool MapHidden(ReadOnlySpan<T> x, Span<T> y)
    {
        bool counts = true;
        mask?.Invoke(ref counts);
        if (counts)
            return false;
        hiddenMap ??= new AffineMap(
            column.Options with { NonFinite = BatchNorm.NonFinite.Ignore }, column.State).ForRows<T>(layout);
        hiddenMap.Apply(x, y);
        return true;
    }

    Exception NonFinite(ReadOnlySpan<T> x) => host.Except(RowFaults.NonFinite(input, x, row.Position)!);

    Exception WrongLength(int length) =>
        host.Except(RowFaults.WrongLength(input.Name, length, row.Position, rowMap.Length));

    sealed class Scalar(RowGetter<T> parent, ValueGetter<T> source, RowSample<T>? sample)
    {
        readonly RowMap<T> map = parent.rowMap;
        long untilSample = sample is null ? long.MaxValue : 1;

        public ValueGetter<T> Get => Next;

        void Next(ref T value)
        {
            source(ref value);
            if (--untilSample == 0)
                untilSample = sample!.Take(value);
            T x = value;
            if (!map.Apply(new ReadOnlySpan<T>(in x), new Span<T>(ref value)) && !map.IgnoresNonFinite
                && !parent.MapHidden(new ReadOnlySpan<T>(in x), new Span<T>(ref value)))
                throw parent.NonFinite([x]);
        }
    }

    sealed class Vector(RowGetter<T> parent, ValueGetter<VBuffer<T>> source, RowSample<T>? sample)
    {
        readonly RowMap<T> map = parent.rowMap;
        T[] scratch = [];
        long untilSpecial = 1;

        public ValueGetter<VBuffer<T>> Get => Next;

        // Fully optimized from the first call: compiled by the profile of its first calls it was up to twice as slow.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        void Next(ref VBuffer<T> y)
        {
            if (--untilSpecial == 0)
            {
                Special(ref y);
                return;
            }
            source(ref y);
            Map(ref y);
        }

        /// <summary>The first row, and those that are sampled.</summary>
        [MethodImpl(MethodImplOptions.NoInlining)]
        void Special(ref VBuffer<T> y)
        {
            // Most callers pass the same buffer for every row, so it pays to give them an aligned one.
            if (y.Length != map.Length && AlignedArray.IsOfUse<T>(map.Length))
                y = new VBuffer<T>(map.Length, AlignedArray.Allocate<T>(map.Length));
            source(ref y);
            untilSpecial = sample?.Take(in y) ?? long.MaxValue;
            Map(ref y);
        }

        // Not inlined into Next: there, in every second process, rows took twice as long until the process ended.
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        void Map(ref VBuffer<T> y)
        {
            ReadOnlySpan<T> x = y.GetValues();
            Span<T> own = MemoryMarshal.CreateSpan(ref MemoryMarshal.GetReference(x), x.Length);
            if (x.Length != y.Length || x.Length != map.Length || !map.Apply(x, own))
                Rest(ref y);
        }

        /// <summary>Does the rest for a row that is sparse, not finite, or of another length.</summary>
        [MethodImpl(MethodImplOptions.NoInlining)]
        void Rest(ref VBuffer<T> y)
        {
            if (y.Length != map.Length)
                throw parent.WrongLength(y.Length);
            if ((y.IsDense || !Sparse(ref y)) && !map.IgnoresNonFinite)
                Hidden(ref y);
        }

        /// <summary>Normalizes a sparse row. Its zeros become other numbers, so the output is dense.</summary>
        bool Sparse(ref VBuffer<T> y)
        {
            if (scratch.Length != y.Length)
                scratch = new T[y.Length];
            y.CopyTo(scratch);
            VBufferEditor<T> editor = VBufferEditor.Create(ref y, y.Length);
            bool finite = map.Apply(scratch, editor.Values);
            y = editor.Commit();
            return finite;
        }

        /// <summary>
        /// Normalizes a row that the mask hides, or throws. Its values have been overwritten by now and are read again.
        /// </summary>
        void Hidden(ref VBuffer<T> y)
        {
            VBuffer<T> row = default;
            source(ref row);
            T[] x = [.. row.DenseValues()];
            VBufferEditor<T> editor = VBufferEditor.Create(ref y, x.Length);
            if (!parent.MapHidden(x, editor.Values))
                throw parent.NonFinite(x);
            y = editor.Commit();
        }
    }
}
