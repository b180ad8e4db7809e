using System.Diagnostics.Contracts;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms
{
    /// <summary>Every n-th row of a view, read without copies.</summary>
    /// <param name="env">
    /// The environment. It has no host for the view, since that would take a number from the context's seed, and what
    /// follows would begin otherwise than on one process.
    /// </param>
    /// <param name="source">The view.</param>
    /// <param name="first">The position of the first row.</param>
    /// <param name="step">From one row to the next.</param>
    sealed class ShareView(IHostEnvironment env, IDataView source, int first, int step) : IDataView
    {
        public bool CanShuffle => false;

        public DataViewSchema Schema => source.Schema;

        public long? GetRowCount() =>
            source.GetRowCount() is { } rows ? Math.Max(0, (rows - first + step - 1) / step) : null;

        public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
        {
            Func<int, bool> isActive = RowCursorUtils.FromColumnsToPredicate(columnsNeeded, Schema);
            bool[] active = [.. Enumerable.Range(0, Schema.Count).Select(isActive)];
            return new Cursor(env, source.GetRowCursor(columnsNeeded), active, first, step);
        }

        public DataViewRowCursor[] GetRowCursorSet(
            IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
            [GetRowCursor(columnsNeeded)];

        sealed class Cursor(IChannelProvider provider, DataViewRowCursor input, bool[] active, int first, int step)
            : LinkedRowFilterCursorBase(provider, input, input.Schema, active)
        {
            protected override bool Accept() => Input.Position % step == first;
        }
    }
}

namespace Microsoft.ML
{
    /// <summary>Rows of several processes in <c>mlContext.Data</c>.</summary>
    public static class ShareCatalog
    {
        /// <summary>
        /// The rows of one of several processes: every n-th row from row r on, for rank r of n. The view is read as
        /// before, and the rows of other ranks are skipped. Estimators and trainers whose engine has the same
        /// collective take the shares of all ranks together.
        /// </summary>
        /// <param name="catalog">The catalog of data operations.</param>
        /// <param name="input">The view, which is the same on all ranks.</param>
        /// <param name="collective">The ranks.</param>
        /// <example>
        /// <code>
        /// // Here the ranks are two threads. Mpi.Run gives each of several processes its collective.
        /// BatchNormalizationTransformer[] layers = ThreadCollective.Run(2, ranks =>
        /// {
        ///     IDataView share = mlContext.Data.TakeShare(rows, ranks);
        ///     return mlContext.Transforms.BatchNormalization(new BatchNormalizationEstimator.Options
        ///     {
        ///         Columns = [new InputOutputColumnPair("Features", "Pixels")],
        ///         Engine = new CpuEngine(threads: 1, ranks),
        ///     }).Fit(share);
        /// });
        /// </code>
        /// </example>
        [Pure]
        public static IDataView TakeShare(
            this DataOperationsCatalog catalog, IDataView input, ICollective collective)
        {
            IHostEnvironment env = CatalogUtils.GetEnvironment(catalog);
            env.CheckValue(input, nameof(input));
            env.CheckValue(collective, nameof(collective));
            return collective.Size == 1
                ? input
                : new Transforms.ShareView(env, input, collective.Rank, collective.Size);
        }
    }
}
