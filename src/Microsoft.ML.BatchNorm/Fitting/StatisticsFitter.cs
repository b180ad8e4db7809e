using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Reads a data view in training mode, once an epoch: exact statistics sum the rows where a cursor puts them, or where
/// the cursors of a set do, each on a thread of its own; all else fills batches, each added while the next is filled.
/// Memory does not grow with the rows, and the result has the same bits however many threads work.
/// </summary>
sealed class StatisticsFitter(IHost host, IChannel channel, FitSettings options)
{
    /// <summary>Above this share of the initializer a fitted average is visibly biased.</summary>
    const double LargeInitialWeight = 0.05;

    /// <summary>Elements in a batch of a population, whose size changes nothing but the speed.</summary>
    const int PopulationElements = 1 << 17;

    const int MostPopulationRows = 8192;
    const int LeastPopulationRows = 8;

    /// <summary>Cursors of a set; ML.NET's views hold rows for each, and start a thread.</summary>
    const int MostCursors = 64;

    int Threads => options.NumberOfThreads ?? Environment.ProcessorCount;

    /// <summary>
    /// Fits all columns that move; those that do not stay as they are, and the data is not read for them.
    /// </summary>
    public void Run(IDataView input, ColumnFit[] columns, DataViewSchema.Column? mask)
    {
        ColumnFit[] populations = [.. columns.Where(column => column.Moves && column.IsPopulation)];
        ColumnFit[] averages = [.. columns.Where(column => column.Moves && !column.IsPopulation)];
        if (populations.Length + averages.Length == 0)
            return;
        IStatisticsEngine engine = EngineChoice.Of(host, channel, options);
        using IProgressChannel progress = host.StartProgressChannel("Batch normalization");
        if (populations.Length > 0)
        {
            int rows = Math.Clamp(
                PopulationElements / populations.Max(column => column.Layout.Count),
                LeastPopulationRows, MostPopulationRows);
            Run(input, populations, mask, engine, progress, rows, epochs: 1);
        }
        if (averages.Length > 0)
            Run(input, averages, mask, engine, progress, options.BatchSize, options.Epochs);

        foreach (ColumnFit column in averages.Where(column => column.InitialWeight > LargeInitialWeight))
        {
            channel.Warning(
                $"Column '{column.Output}': {column.InitialWeight:P0} of its moving statistics is still their " +
                "initial value. Fit more epochs, take a smaller momentum, or exact statistics " +
                "(MovingStatistics.Population).");
        }
    }

    void Run(
        IDataView input, ColumnFit[] columns, DataViewSchema.Column? mask, IStatisticsEngine engine,
        IProgressChannel progress, int batchRows, int epochs)
    {
        try
        {
            foreach (ColumnFit column in columns)
                column.Start(engine);
            foreach (ColumnFit column in SumRows(columns) ? [] : columns)
                column.Allocate(host, batchRows, Threads > 1);
            bool shuffles = options.Shuffle && !columns[0].IsPopulation;
            // The context's random numbers are for one thread at a time, and a fit that needs none may share it.
            int seed = shuffles ? options.Seed ?? host.Rand.Next() : 0;
            for (int epoch = 0; epoch < epochs; epoch++)
            {
                var counted = new RowCount();
                int current = epoch;
                double? total = input.GetRowCount();
                progress.SetHeader(new ProgressHeader(["epochs", "rows"]), entry =>
                {
                    entry.SetProgress(0, current, epochs);
                    if (total is { } count)
                        entry.SetProgress(1, counted.Value, count);
                    else
                        entry.SetProgress(1, counted.Value);
                });
                int? shuffleSeed = shuffles ? unchecked(seed + epoch) : null;
                long rows = Cancellation.Run(
                    host, run => Read(run, input, columns, mask, batchRows, shuffleSeed, counted),
                    options.CancellationToken);
                if (rows == 0)
                    throw host.Except("The data has no rows for the statistics of batch normalization.");
            }
            foreach (ColumnFit column in columns)
                Complete(column);
        }
        finally
        {
            foreach (ColumnFit column in columns)
                column.Stop();
        }
    }

    static bool SumRows(ColumnFit[] columns) => Array.TrueForAll(columns, column => column.SumsRows);

    /// <summary>Reads the data once, and gives the number of rows that count.</summary>
    long Read(
        IHost run, IDataView input, ColumnFit[] columns, DataViewSchema.Column? mask, int batchRows, int? shuffleSeed,
        RowCount counted)
    {
        bool sumsRows = SumRows(columns);
        DataViewRowCursor[] cursors = Open(
            run, input, columns.Select(column => column.Column), mask, sumsRows ? Math.Min(Threads, MostCursors) : 1,
            shuffleSeed);
        try
        {
            if (cursors.Length > 1)
            {
                new RowSetPass(run, columns, counted).Read(cursors, mask);
                return counted.Value;
            }
            FitPass pass = sumsRows
                ? new RowPass(run, columns, counted)
                : new BatchPass(run, columns, batchRows, Threads > 1, counted);
            pass.Read(cursors[0], mask is { } counts ? cursors[0].GetGetter<bool>(counts) : null);
            return counted.Value;
        }
        finally
        {
            foreach (DataViewRowCursor cursor in cursors)
                cursor.Dispose();
        }
    }

    static DataViewRowCursor[] Open(
        IHost run, IDataView input, IEnumerable<DataViewSchema.Column> columns, DataViewSchema.Column? mask, int most,
        int? shuffleSeed)
    {
        DataViewSchema.Column[] needed = [.. (mask is { } counts ? columns.Append(counts) : columns).Distinct()];
        if (shuffleSeed is { } seed)
            return [ShuffledCursor.Open(run, input, needed, seed)];
        return most > 1 ? input.GetRowCursorSet(needed, most) : [input.GetRowCursor(needed)];
    }

    void Complete(ColumnFit column)
    {
        try
        {
            column.Complete();
        }
        catch (InvalidDataException error)
        {
            throw host.Except(error, StatisticsFault.Describe(column.Column.Name, column.Layout, error));
        }
    }
}
