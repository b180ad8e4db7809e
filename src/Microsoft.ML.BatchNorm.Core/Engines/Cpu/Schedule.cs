namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Passes in their order, combined into as few regions as their dependencies allow. Threads wait for each other only
/// between regions.
/// </summary>
sealed class Schedule
{
    readonly List<Region> regions = [];
    readonly WorkerThreads workers;

    public Schedule(IEnumerable<Pass> passes, Step step, WorkerThreads workers)
    {
        this.workers = workers;
        var region = new Region(step);
        var waiting = new List<Pass>();
        foreach (Pass pass in passes)
        {
            if (pass.Item is not null)
            {
                waiting.Add(pass);
                continue;
            }
            if (region.IsClosed)
                region = Next(region, waiting, step);
            region.Add(pass);
        }
        if (waiting.Count > 0)
            region = Next(region, waiting, step);
        regions.Add(region);
    }

    public void Run()
    {
        foreach (Region region in regions)
            region.Run(workers);
    }

    Region Next(Region region, List<Pass> waiting, Step step)
    {
        regions.Add(region);
        var next = new Region(step);
        waiting.ForEach(next.Add);
        waiting.Clear();
        return next;
    }

    /// <summary>
    /// The passes that threads run without waiting for each other, and what one thread does afterwards.
    /// </summary>
    sealed class Region
    {
        readonly Step step;
        readonly List<Action<RowBlock>> rows = [];
        readonly List<Pass> others = [];
        readonly Action<int> work;
        Action? then;

        public Region(Step step) => (this.step, work) = (step, Work);

        public bool IsClosed => then is not null;

        public void Add(Pass pass)
        {
            if (pass.Rows is not null)
                rows.Add(pass.Rows);
            else
                others.Add(pass);
            then = pass.Then;
        }

        public void Run(WorkerThreads workers)
        {
            int items = rows.Count > 0 ? step.Blocks : 0;
            foreach (Pass pass in others)
                items += pass.Items;
            // Without a row, a rank has no work of its own, but takes part in what follows it.
            if (step.Rows > 0)
                workers.Run(items, work);
            then?.Invoke();
        }

        void Work(int index)
        {
            if (rows.Count > 0)
            {
                if (index < step.Blocks)
                {
                    RowBlock block = step.Block(index);
                    foreach (Action<RowBlock> pass in rows)
                        pass(block);
                    return;
                }
                index -= step.Blocks;
            }
            foreach (Pass pass in others)
            {
                if (index < pass.Items)
                {
                    pass.Item!(index);
                    return;
                }
                index -= pass.Items;
            }
        }
    }
}
