using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Reads a data view in training mode: one cursor an epoch, rows summed where the cursor puts them, or batches filled
/// from it, each added while the next is filled. Memory does not grow with the rows, and the result has the same bits
/// however many threads work.
/// </summary>
/// <remarks>
/// A cursor set is not asked for. Its batch numbers tell the order of its rows, but not which rows of the data they are:
/// for the same bits with any number of cursors, sums would have to be merged every few rows, with one cursor too, and
/// one cursor is what nearly all data gives without waiting. ML.NET's transforms put rows back in order behind the one
/// that they give, with as many threads as there are processors.
/// </remarks>
sealed class StatisticsFitter(IHost host, IChannel channel, FitSettings options)
{
    /// <summary>Above this share of the initializer a fitted average is visibly biased.</summary>
    const double LargeInitialWeight = 0.05;

    /// <summary>Elements in a batch of a population, whose size changes nothing but the speed.</summary>
    const int PopulationElements = 1 << 17;

    const int MostPopulationRows = 8192;
    const int LeastPopulationRows = 8;

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
            bool sumsRows = Array.TrueForAll(columns, column => column.SumsRows);
            bool overlaps = (options.NumberOfThreads ?? Environment.ProcessorCount) > 1;
            foreach (ColumnFit column in sumsRows ? [] : columns)
                column.Allocate(batchRows + 1, overlaps);
            bool shuffles = options.Shuffle && !columns[0].IsPopulation;
            // The context's random numbers are for one thread at a time, and a fit that needs none may share it.
            int seed = shuffles ? options.Seed ?? host.Rand.Next() : 0;
            for (int epoch = 0; epoch < epochs; epoch++)
            {
                FitPass pass =
                    sumsRows ? new RowPass(host, columns) : new BatchPass(host, columns, batchRows, overlaps);
                int current = epoch;
                double? total = input.GetRowCount();
                progress.SetHeader(new ProgressHeader(["epochs", "rows"]), entry =>
                {
                    entry.SetProgress(0, current, epochs);
                    if (total is { } count)
                        entry.SetProgress(1, pass.Rows, count);
                    else
                        entry.SetProgress(1, pass.Rows);
                });
                using DataViewRowCursor cursor = Open(
                    input, columns.Select(column => column.Column), mask, shuffles ? unchecked(seed + epoch) : null);
                pass.Read(cursor, mask is { } counts ? cursor.GetGetter<bool>(counts) : null);
                if (pass.Rows == 0)
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

    DataViewRowCursor Open(
        IDataView input, IEnumerable<DataViewSchema.Column> columns, DataViewSchema.Column? mask, int? shuffleSeed)
    {
        DataViewSchema.Column[] needed = [.. (mask is { } counts ? columns.Append(counts) : columns).Distinct()];
        return shuffleSeed is { } seed
            ? ShuffledCursor.Open(host, input, needed, seed)
            : input.GetRowCursor(needed);
    }

    void Complete(ColumnFit column)
    {
        try
        {
            column.Complete();
        }
        catch (InvalidDataException error)
        {
            throw host.Except(error, $"Column '{column.Column.Name}': {error.Message}");
        }
    }
}
