using System.Collections.Concurrent;

namespace Microsoft.ML.BatchNorm.Mpi;

/// <summary>An asynchronous program comes back to its thread behind each <c>await</c>.</summary>
sealed class OneThread : SynchronizationContext
{
    readonly BlockingCollection<(SendOrPostCallback Work, object? State)> waiting = [];

    /// <summary>Runs a program on the calling thread until its task has ended.</summary>
    public static T Run<T>(Func<Task<T>> program)
    {
        SynchronizationContext? before = Current;
        var context = new OneThread();
        SetSynchronizationContext(context);
        try
        {
            Task<T> task = program();
            task.ContinueWith(_ => context.Post(_ => { }, null), TaskScheduler.Default);
            while (!task.IsCompleted)
            {
                (SendOrPostCallback work, object? state) = context.waiting.Take();
                work(state);
            }
            return task.GetAwaiter().GetResult();
        }
        finally
        {
            SetSynchronizationContext(before);
        }
    }

    public override void Post(SendOrPostCallback d, object? state) => waiting.Add((d, state));
}
