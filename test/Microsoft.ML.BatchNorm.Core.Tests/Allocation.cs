namespace Microsoft.ML.BatchNorm.Tests;

/// <summary>What a call allocates on its thread once it is warm.</summary>
static class Allocation
{
    const int Tries = 100;

    /// <summary>
    /// Calls until a call allocates nothing, and returns what the last one did. The runtime's first, unoptimized code
    /// boxes what its final code does not, and gives way to it in the background after some calls; whatever a call
    /// allocates by itself, it allocates every time.
    /// </summary>
    public static long OfWarm(Action call)
    {
        long allocated = -1;
        for (int i = 0; i < Tries && allocated != 0; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            call();
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            if (allocated != 0)
                Thread.Sleep(20);
        }
        return allocated;
    }
}
