using System.Numerics;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>One column's batch, which is normalized with its own statistics.</summary>
abstract class DownstreamColumn(DataViewSchema.Column output)
{
    public DataViewSchema.Column Output => output;

    /// <param name="host">Reports errors.</param>
    /// <param name="column">The column's layer.</param>
    /// <param name="schema">The schema of the normalized view.</param>
    /// <param name="row">The cursor that is read.</param>
    /// <param name="batchSize">The number of rows in a batch; up to two more rows are held.</param>
    public static DownstreamColumn Of(
        IHost host, BatchNormalizationColumn column, DataViewSchema schema, DataViewRow row, int batchSize)
    {
        DataViewSchema.Column input = row.Schema[column.InputColumnName], output = schema[column.OutputColumnName];
        ChannelLayout layout = RowLayout.Of(host, input, column.Axis, column.Input);
        return input.Type.GetItemType() == NumberDataViewType.Single
            ? new Values<float>(host, output, input, row, layout, column, batchSize, (rows, x, y, mask) =>
                BatchNorm.BatchNormalization.Forward(column.Options, column.State, rows, x, y, training: true, mask))
            : new Values<double>(host, output, input, row, layout, column, batchSize, (rows, x, y, mask) =>
                BatchNorm.BatchNormalization.Forward(column.Options, column.State, rows, x, y, training: true, mask));
    }

    /// <summary>Moves rows that belong to the next batch to its start.</summary>
    public abstract void KeepFrom(int row, int rows);

    /// <summary>Copies the cursor's current row to a row of the batch.</summary>
    public abstract void Read(int row);

    /// <param name="rows">The number of rows in the batch.</param>
    /// <param name="shown">Which rows count in its statistics, or empty for all.</param>
    /// <param name="position">The position of its first row in the data.</param>
    public abstract void Normalize(int rows, ReadOnlySpan<bool> shown, long position);

    /// <summary>A getter of the normalized value of the row that <paramref name="current"/> returns.</summary>
    public abstract Delegate Getter(Func<int> current);

    delegate void Forward<T>(ChannelLayout rows, ReadOnlySpan<T> x, Span<T> y, ReadOnlySpan<bool> mask);

    sealed class Values<T> : DownstreamColumn where T : unmanaged, IFloatingPointIeee754<T>
    {
        readonly IHost host;
        readonly DataViewSchema.Column input;
        readonly ChannelLayout layout;
        readonly BatchNormalizationColumn column;
        readonly bool hasConstants;
        readonly Forward<T> forward;
        readonly T[] x, y;
        readonly RowReader<T> reader;
        bool[] positions = [];

        public Values(
            IHost host, DataViewSchema.Column output, DataViewSchema.Column input, DataViewRow row,
            ChannelLayout layout, BatchNormalizationColumn column, int batchSize, Forward<T> forward)
            : base(output)
        {
            (this.host, this.input, this.layout, this.column, this.forward) = (host, input, layout, column, forward);
            hasConstants = column.Options.EffectiveEpsilon == 0 && column.State.MovingVariance.Contains(0);
            x = RowReader.Allocate<T>(host, batchSize, 2, layout.Count);
            y = new T[x.Length];
            reader = RowReader.Of<T>(host, row, input, layout.Count);
            reader.Target = x;
        }

        public override void KeepFrom(int row, int rows) =>
            x.AsSpan(row * layout.Count, rows * layout.Count).CopyTo(x);

        public override void Read(int row) => reader.Read(row);

        public override void Normalize(int rows, ReadOnlySpan<bool> shown, long position)
        {
            int length = rows * layout.Count;
            BatchNormalizationOptions options = column.Options;
            // With renormalization the output depends on the moving statistics, and is not just β.
            if (options.UsesBatchStatistics(training: true) && options.Renorm is null
                && BatchValues.PerChannel(options, layout, rows) == 1)
                throw host.Except(
                    $"Column '{input.Name}': a batch has a single value per channel, and DownstreamStatistics.Batch " +
                    "would give β for any value. Take a greater BatchSize or VirtualBatchSize, or give more rows.");
            try
            {
                forward(layout.WithRows(rows), x.AsSpan(0, length), y.AsSpan(0, length), Positions(shown));
            }
            catch (InvalidDataException error)
            {
                throw host.Except(error, Message(error, rows, shown, position));
            }
            if (hasConstants)
                SetConstants(length);
            for (int row = 0; row < shown.Length; row++)
            {
                if (!shown[row])
                    PassNonFinite(row);
            }
        }

        /// <summary>Channels that count as constant are β here too, whatever rounding leaves in a batch.</summary>
        void SetConstants(int length)
        {
            ReadOnlySpan<double> variance = column.State.MovingVariance;
            ReadOnlySpan<float> beta = column.State.Beta;
            for (int i = 0; i < length; i++)
            {
                int channel = layout.ChannelOf(i % layout.Count);
                if (variance[channel] == 0 && T.IsFinite(x[i]))
                    y[i] = T.CreateTruncating(beta.IsEmpty ? 0 : beta[channel]);
            }
        }

        /// <summary>Values of a hidden row that are not finite come out unchanged.</summary>
        void PassNonFinite(int row)
        {
            for (int i = row * layout.Count; i < (row + 1) * layout.Count; i++)
            {
                if (!T.IsFinite(x[i]))
                    y[i] = x[i];
            }
        }

        string Message(InvalidDataException error, int rows, ReadOnlySpan<bool> shown, long position)
        {
            for (int row = 0; row < rows; row++)
            {
                ReadOnlySpan<T> values = x.AsSpan(row * layout.Count, layout.Count);
                if ((shown.IsEmpty || shown[row])
                    && RowFaults.NonFinite(input, values, position + row) is { } found)
                    return found;
            }
            return RowFaults.Statistics(input.Name, layout, error);
        }

        /// <summary>The mask with one entry per position: a row's entry is repeated for each of its positions.</summary>
        ReadOnlySpan<bool> Positions(ReadOnlySpan<bool> shown)
        {
            if (layout.Positions == 1 || shown.IsEmpty)
                return shown;
            int length = shown.Length * layout.Positions;
            if (positions.Length < length)
                positions = new bool[length];
            for (int row = 0; row < shown.Length; row++)
                positions.AsSpan(row * layout.Positions, layout.Positions).Fill(shown[row]);
            return positions.AsSpan(0, length);
        }

        public override Delegate Getter(Func<int> current)
        {
            if (input.Type is not VectorDataViewType)
                return (ValueGetter<T>)((ref T value) => value = y[current()]);
            return (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) =>
            {
                VBufferEditor<T> editor = VBufferEditor.Create(ref value, layout.Count);
                y.AsSpan(current() * layout.Count, layout.Count).CopyTo(editor.Values);
                value = editor.Commit();
            });
        }
    }
}
