using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.Kernels;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Getter of a normalized column over the rows of one cursor or of one prediction engine, and like them for one thread
/// at a time. A row is read into the caller's buffer, which is the caller's own by ML.NET's rules, and mapped in place;
/// a member of the user's own object is mapped from where it lies.
/// </summary>
/// <param name="host">Whose errors they are.</param>
/// <param name="row">The row that is read.</param>
/// <param name="input">Its column.</param>
/// <param name="column">The layer.</param>
/// <param name="layout">Where its channels lie in the row.</param>
/// <param name="mask">Whether the row counts, or null where all do. One that does not may hold any value.</param>
sealed class RowGetter<T>(
    IExceptionContext host, DataViewRow row, DataViewSchema.Column input, BatchNormalizationColumn column,
    ChannelLayout layout, ValueGetter<bool>? mask)
    where T : unmanaged, IFloatingPointIeee754<T>
{
    readonly RowMap<T> rowMap = column.Map.ForRows<T>(layout);
    RowMap<T>? hiddenMap;

    /// <param name="sample">What rows are sampled for as they are read, or null.</param>
    public Delegate Create(RowSample<T>? sample = null) => input.Type is VectorDataViewType
        ? new Vector(this, row.GetGetter<VBuffer<T>>(input), sample).Get
        : new Scalar(this, row.GetGetter<T>(input), sample).Get;

    /// <summary>
    /// Maps a row that the mask hides, whose values that are not finite come out as they went in; false where the row
    /// counts.
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

    Exception NonFinite(ReadOnlySpan<T> x) => host.Except(NonFiniteRow.Describe(input, x, row.Position)!);

    Exception OtherLength(int length) =>
        host.Except(WrongLength.Describe(input.Name, length, row.Position, rowMap.Length));

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
        MemberValues<T>? member = MemberValues<T>.Of(source);
        T[] scratch = [];
        long untilSpecial = 1;

        public ValueGetter<VBuffer<T>> Get => Next;

        // Compiled in full at once: by the profile of its first calls it came out up to twice as slow.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        void Next(ref VBuffer<T> y)
        {
            if (--untilSpecial == 0)
            {
                Special(ref y);
                return;
            }
            if (member is not null && MapMember(member, ref y))
                return;
            source(ref y);
            Map(ref y);
        }

        /// <summary>The first row, and those that are sampled.</summary>
        [MethodImpl(MethodImplOptions.NoInlining)]
        void Special(ref VBuffer<T> y)
        {
            // The caller, who most often hands in the same buffer for every row, is given a better one.
            if (y.Length != map.Length && AlignedArray.IsOfUse<T>(map.Length))
                y = new VBuffer<T>(map.Length, AlignedArray.Allocate<T>(map.Length));
            source(ref y);
            if (member is not null && !IsRow(y, member.Current))
                member = null;
            untilSpecial = sample?.Take(in y) ?? long.MaxValue;
            Map(ref y);
        }

        bool IsRow(in VBuffer<T> y, ReadOnlySpan<T> x) =>
            x.Length == map.Length && y.IsDense && x.SequenceEqual(y.GetValues());

        /// <summary>False where not all values of a row are there, or no buffer of its length to map into.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        bool MapMember(MemberValues<T> member, ref VBuffer<T> y)
        {
            ReadOnlySpan<T> x = member.Current, values = y.GetValues();
            if (x.Length != map.Length || values.Length != x.Length || !y.IsDense)
                return false;
            Span<T> own = MemoryMarshal.CreateSpan(ref MemoryMarshal.GetReference(values), values.Length);
            return map.Apply(x, own) || map.IgnoresNonFinite || parent.MapHidden(x, own)
                ? true
                : throw parent.NonFinite(x);
        }

        // Apart from Next: within it, in one process of two, rows took twice as long for as long as it ran.
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        void Map(ref VBuffer<T> y)
        {
            ReadOnlySpan<T> x = y.GetValues();
            Span<T> own = MemoryMarshal.CreateSpan(ref MemoryMarshal.GetReference(x), x.Length);
            if (x.Length != y.Length || x.Length != map.Length || !map.Apply(x, own))
                Rest(ref y);
        }

        /// <summary>What is still to be done of a row that is sparse, not finite, or of another length.</summary>
        [MethodImpl(MethodImplOptions.NoInlining)]
        void Rest(ref VBuffer<T> y)
        {
            if (y.Length != map.Length)
                throw parent.OtherLength(y.Length);
            if ((y.IsDense || !Sparse(ref y)) && !map.IgnoresNonFinite)
                Hidden(ref y);
        }

        /// <summary>A zero that is not stored becomes a number of its own: what comes out is dense.</summary>
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
        /// Maps a row that the mask hides, or throws. Its values have been written over by now, and are read again.
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
