using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Transforms;

/// <summary>A unit of rows, summed column by column.</summary>
sealed class SummedUnit(int[] lengths)
{
    readonly RowUnit[] columns = Array.ConvertAll(lengths, length => new RowUnit(length));

    /// <summary>Its place among all units.</summary>
    public long Number { get; private set; }

    /// <summary>The sums of each column.</summary>
    public RowUnit[] Columns => columns;

    /// <summary>What is wrong with the first row that is not in order, or null.</summary>
    public string? Fault { get; private set; }

    /// <summary>Sums rows, and takes their place.</summary>
    public SummedUnit Sum(CutUnit unit)
    {
        Number = unit.Number;
        bool finite = true;
        for (int column = 0; column < columns.Length; column++)
        {
            columns[column].Begin(unit.Centers[column]);
            foreach (RowBlock part in unit.Parts)
                finite &= part.Columns[column].AddTo(columns[column], part.Count);
        }
        Fault = finite
            ? null
            : unit.Parts.Select(part => part.DescribeFault()).FirstOrDefault(found => found is not null);
        return this;
    }
}
