using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Sums each row where the cursor's getters put it, without a batch. On the thread that reads: to hand rows to another
/// takes no less than to add them.
/// </summary>
sealed class RowPass(IHost host, ColumnFit[] columns, RowCount counted) : FitPass(host, counted)
{
    public override void Read(DataViewRowCursor cursor, ValueGetter<bool>? mask)
    {
        RowSummer[] summers = Array.ConvertAll(columns, column => column.OpenSummer(Host, cursor));
        Host.CheckAlive();
        if (summers.Length == 1 && mask is null)
        {
            while (summers[0].Read(cursor, RowsBetweenChecks, Counted))
                Host.CheckAlive();
        }
        else
        {
            while (MoveNext(cursor, mask))
            {
                long position = cursor.Position;
                foreach (RowSummer summer in summers)
                    summer.Read(position);
                Counted.Increment();
            }
        }
        foreach (RowSummer summer in summers)
            summer.Complete();
    }
}
