using System.Numerics;
using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>Reads one column of a cursor's row into the next row of a block.</summary>
abstract class RowFiller
{
    public abstract void Fill(RowBlock rows);
}

/// <summary>The same, of one type of values.</summary>
/// <param name="index">The column's place in the block.</param>
/// <param name="getter">The cursor's getter.</param>
sealed class RowFiller<T>(int index, ValueGetter<VBuffer<T>> getter) : RowFiller
    where T : unmanaged, IFloatingPointIeee754<T>
{
    public override void Fill(RowBlock rows) => getter(ref ((HeldRows<T>)rows.Columns[index])[rows.Count]);
}
