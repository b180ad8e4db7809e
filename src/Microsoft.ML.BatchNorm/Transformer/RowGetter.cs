using System.Globalization;
using System.Numerics;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>Getters of normalized values over the rows of a cursor or of a prediction engine.</summary>
sealed class RowGetter<T>(
    IExceptionContext host, DataViewRow row, DataViewSchema.Column input, AffineMap map, ChannelLayout layout)
    where T : unmanaged, IFloatingPointIeee754<T>
{
    public Delegate Create() => input.Type is VectorDataViewType ? Vector() : Scalar();

    ValueGetter<T> Scalar()
    {
        ValueGetter<T> source = row.GetGetter<T>(input);
        return (ref value) =>
        {
            source(ref value);
            var cell = new Span<T>(ref value);
            Apply(cell, cell);
        };
    }

    ValueGetter<VBuffer<T>> Vector()
    {
        ValueGetter<VBuffer<T>> source = row.GetGetter<VBuffer<T>>(input);
        VBuffer<T> x = default;
        return (ref y) =>
        {
            source(ref x);
            VBufferEditor<T> editor = VBufferEditor.Create(ref y, layout.Count);
            if (x.IsDense)
            {
                Apply(x.GetValues(), editor.Values);
            }
            else
            {
                // A zero that is not stored becomes a number of its own: what comes out is dense.
                x.CopyTo(editor.Values);
                Apply(editor.Values, editor.Values);
            }
            y = editor.Commit();
        };
    }

    void Apply(ReadOnlySpan<T> x, Span<T> y)
    {
        try
        {
            map.Apply(layout, x, y, mask: default, threads: 1);
        }
        catch (InvalidDataException error)
        {
            throw host.Except(error, NonFiniteMessage(x));
        }
    }

    string NonFiniteMessage(ReadOnlySpan<T> x)
    {
        int slot = 0;
        while (T.IsFinite(x[slot]))
            slot++;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"Column '{input.Name}' is not finite: row {row.Position}, slot {slot} has {x[slot]}.");
    }
}
