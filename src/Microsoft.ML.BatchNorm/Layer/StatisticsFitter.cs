using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;
using Options = Microsoft.ML.Transforms.BatchNormalizationEstimator.Options;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Fits columns as the options say: reads the view once for exact statistics, or once per epoch for averages. Memory
/// does not grow with the rows, and the result has the same bits for any number of threads.
/// </summary>
sealed class StatisticsFitter(IHost host, IChannel channel, Options options)
{
    /// <summary>If more than this share of an average is still its initial value, the average is visibly biased.</summary>
    const double LargeInitialWeight = 0.05;

    /// <summary>
    /// The elements in a batch of exact statistics, for one column and for all columns together. The size changes
    /// nothing but the speed: both fit in caches.
    /// </summary>
    const int PopulationElements = 1 << 17, AllPopulationElements = 1 << 19;

    /// <summary>With fewer elements per column, the calls cost more than the sums.</summary>
    const int LeastPopulationElements = 64;

    const int MostPopulationRows = 8192;
    const int LeastPopulationRows = 8;

    int Threads => options.NumberOfThreads ?? Environment.ProcessorCount;

    /// <summary>
    /// Fits all columns whose statistics move. The others stay as they are, and the data is not read for them.
    /// </summary>
    public void Run(IDataView input, ColumnFit[] columns, DataViewSchema.Column? mask)
    {
        ColumnFit[] populations = [.. columns.Where(column => column.Moves && column.IsPopulation)];
        ColumnFit[] averages = [.. columns.Where(column => column.Moves && !column.IsPopulation)];
        if (options.Engine?.Collective.IfSeveral() is { } ranks)
            CheckSame(ranks, columns);
        if (populations.Length + averages.Length == 0)
            return;
        IStatisticsEngine engine = EngineChoice.Of(host, channel, options.Engine);
        using IProgressChannel progress = host.StartProgressChannel("Batch normalization");
        if (populations.Length > 0)
            Run(input, populations, mask, engine, progress, PopulationRows(populations), epochs: 1);
        if (averages.Length > 0)
            RunAverages(input, averages, mask, engine, progress);
    }

    /// <summary>
    /// Counts the values of the columns that keep histograms, in another pass after the fit: the bins follow from
    /// all rows.
    /// </summary>
    public void Count(IDataView input, ColumnFit[] columns, DataViewSchema.Column? mask)
    {
        ColumnFit[] counted = [.. columns.Where(column => column.KeepsHistograms(options.KeepHistograms))];
        if (counted.Length == 0)
            return;
        var engine = new HistogramEngine(
            EngineChoice.Of(host, channel, options.Engine).Collective,
            Array.ConvertAll(counted, column => column.BeginHistograms()));
        using IProgressChannel progress = host.StartProgressChannel("Histograms of batch normalization");
        Run(input, counted, mask, engine, progress, PopulationRows(counted), epochs: 1);
    }

    static Func<ColumnFit, int> PopulationRows(ColumnFit[] columns)
    {
        int elements = Math.Clamp(
            AllPopulationElements / columns.Length, LeastPopulationElements, PopulationElements);
        return column => Math.Clamp(elements / column.Layout.Count, LeastPopulationRows, MostPopulationRows);
    }

    /// <summary>The ranks merge one column after the other, without a look at what they are.</summary>
    void CheckSame(ICollective ranks, ColumnFit[] columns)
    {
        string? others = RankColumns.Different(ranks, writer =>
        {
            writer.Write(options.KeepHistograms);
            Array.ForEach(columns, column => column.Write(writer));
        });
        host.CheckUserArg(
            others is null, nameof(options.Columns),
            "The columns differ from those of rank 0, in number, order, channels, slot names, options or earlier " +
            $"statistics, on {others}. {RankColumns.Advice}");
    }

    void RunAverages(
        IDataView input, ColumnFit[] averages, DataViewSchema.Column? mask, IStatisticsEngine engine,
        IProgressChannel progress)
    {
        foreach (ColumnFit column in averages)
        {
            host.CheckUserArg(
                BatchValues.PerChannel(column.Options, column.Layout, options.BatchSize) > 1, nameof(options.BatchSize),
                $"BatchSize {options.BatchSize} gives column '{column.Output}' a single value per channel and batch, " +
                "whose variance is 0: take a greater BatchSize or VirtualBatchSize, or exact statistics " +
                "(MovingStatistics.Population).");
        }
        long rows = Run(input, averages, mask, engine, progress, _ => options.BatchSize, options.Epochs);
        foreach (ColumnFit column in averages)
        {
            long values = BatchValues.PerChannel(column.Options, column.Layout, options.BatchSize);
            if (BatchValues.AreFew(column.Options, values) && rows * column.Layout.Positions > values)
            {
                channel.Warning(
                    $"Column '{column.Output}': {BatchValues.DescribeFew(values)} Take a greater BatchSize or " +
                    "VirtualBatchSize, VarianceConvention.Sample, or exact statistics (MovingStatistics.Population).");
            }
        }
        foreach (ColumnFit column in averages.Where(column => column.InitialWeight > LargeInitialWeight))
        {
            channel.Warning(
                $"Column '{column.Output}': {column.InitialWeight:P0} of its moving statistics is still their " +
                "initial value. Fit more epochs, take a smaller momentum, or exact statistics " +
                "(MovingStatistics.Population).");
        }
    }

    /// <summary>Reads the data once per epoch, and returns the number of rows that counted in the last epoch.</summary>
    long Run(
        IDataView input, ColumnFit[] columns, DataViewSchema.Column? mask, IStatisticsEngine engine,
        IProgressChannel progress, Func<ColumnFit, int> batchRows, int epochs)
    {
        long rows = 0;
        ICollective? ranks = engine.Collective.IfSeveral();
        try
        {
            foreach (ColumnFit column in columns)
                column.Start(engine);
            foreach (ColumnFit column in Scan.SumsRows(columns) ? [] : columns)
                column.Allocate(host, batchRows(column), Threads > 1);
            bool shuffles = options.Shuffle && !columns[0].IsPopulation;
            // The context's random numbers are for one thread at a time. A fit that needs none may run beside others.
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
                rows = ranks.Do(() => Cancellation.Run(
                    host, run => Scan.Run(run, input, columns, mask, Threads, shuffleSeed, counted),
                    options.CancellationToken));
                // A rank may have no rows if others have some.
                if ((ranks?.Gather(rows).Sum() ?? rows) == 0)
                    throw NoRows(input, mask);
                if (rows == 1 && Array.Find(columns, HasSingleValues) is { } single)
                {
                    throw host.Except(
                        $"Column '{single.Output}': the data has a single row to be counted, and no average of " +
                        "variances follows from a single value per channel. Give more rows, or take exact statistics " +
                        "(MovingStatistics.Population).");
                }
            }
            foreach (ColumnFit column in columns)
                column.Complete(host);
        }
        finally
        {
            foreach (ColumnFit column in columns)
                column.Stop();
        }
        return rows;
    }

    /// <summary>Whether a batch of one row has no variance to average.</summary>
    static bool HasSingleValues(ColumnFit column) => !column.IsPopulation && column.Layout.Positions == 1;

    Exception NoRows(IDataView input, DataViewSchema.Column? mask)
    {
        long all = input.GetRowCount() ?? 0;
        if (mask is not null && all == 0)
        {
            using DataViewRowCursor cursor = input.GetRowCursor([]);
            while (cursor.MoveNext())
                all++;
        }
        return host.Except(mask is { } column && all > 0
            ? $"All {all} rows are hidden by mask column '{column.Name}'; the statistics of batch normalization need " +
                "rows where it is true."
            : "The data has no rows for the statistics of batch normalization.");
    }
}
