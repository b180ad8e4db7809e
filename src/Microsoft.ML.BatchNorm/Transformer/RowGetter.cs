using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Getter of a normalized column over the rows of one cursor or of one prediction engine, and like them for one thread
/// at a time. A row is read into the caller's buffer, which is the caller's own by ML.NET's rules, and mapped in place.
/// </summary>
sealed class RowGetter<T>(
    IExceptionContext host, DataViewRow row, DataViewSchema.Column input, AffineMap map, ChannelLayout layout)
    where T : unmanaged, IFloatingPointIeee754<T>
{
    readonly RowMap<T> rowMap = map.ForRows<T>(layout);

    public Delegate Create() => input.Type is VectorDataViewType
        ? new Vector(this, row.GetGetter<VBuffer<T>>(input)).Get
        : new Scalar(this, row.GetGetter<T>(input)).Get;

    Exception NonFinite(ReadOnlySpan<T> x)
    {
        int slot = 0;
        while (T.IsFinite(x[slot]))
            slot++;
        return host.Except(string.Create(
            CultureInfo.InvariantCulture,
            $"Column '{input.Name}' is not finite: row {row.Position}, slot {slot} has {x[slot]}."));
    }

    sealed class Scalar(RowGetter<T> parent, ValueGetter<T> source)
    {
        readonly RowMap<T> map = parent.rowMap;

        public ValueGetter<T> Get => (ref value) =>
        {
            source(ref value);
            T x = value;
            if (!map.Apply(new ReadOnlySpan<T>(in x), new Span<T>(ref value)) && !map.IgnoresNonFinite)
                throw parent.NonFinite([x]);
        };
    }

    sealed class Vector(RowGetter<T> parent, ValueGetter<VBuffer<T>> source)
    {
        readonly RowMap<T> map = parent.rowMap;
        T[] scratch = [];

        public ValueGetter<VBuffer<T>> Get => Next;

        // Compiled in full at once: by the profile of its first calls it came out up to twice as slow.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        void Next(ref VBuffer<T> y)
        {
            source(ref y);
            ReadOnlySpan<T> x = y.GetValues();
            Span<T> own = MemoryMarshal.CreateSpan(ref MemoryMarshal.GetReference(x), x.Length);
            if (x.Length != y.Length || !map.Apply(x, own))
                Rest(ref y);
        }

        /// <summary>What is still to be done of a row that is sparse or not finite.</summary>
        [MethodImpl(MethodImplOptions.NoInlining)]
        void Rest(ref VBuffer<T> y)
        {
            if ((y.IsDense || !Sparse(ref y)) && !map.IgnoresNonFinite)
                throw NonFinite();
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

        /// <summary>The row's own values have been written over by now; they are read again.</summary>
        Exception NonFinite()
        {
            VBuffer<T> x = default;
            source(ref x);
            return parent.NonFinite([.. x.DenseValues()]);
        }
    }
}
