namespace Microsoft.ML.BatchNorm.Tests;

/// <summary>What a call allocates on its thread once it is warm.</summary>
static class Allocation
{
    const int Tries = 200, InARow = 10;

    /// <summary>
    /// Calls until ten calls in a row allocate nothing, and returns what the last one did. The runtime's first,
    /// unoptimized code boxes what its final code does not, and gives way to it in the background after some calls;
    /// what a call allocates by itself, each time or now and then, does not go away.
    /// </summary>
    public static long OfWarm(Action call)
    {
        long allocated = -1;
        for (int i = 0, free = 0; i < Tries && free < InARow; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            call();
            long now = GC.GetAllocatedBytesForCurrentThread() - before;
            free = now == 0 ? free + 1 : 0;
            allocated = free == 0 ? now : free < InARow ? allocated : 0;
            if (now != 0)
                Thread.Sleep(20);
        }
        return allocated;
    }
}
