namespace Microsoft.ML.BatchNorm;

/// <summary>How much a step of training has to do, and how many threads that is worth.</summary>
static class StepWork
{
    /// <summary>
    /// The multiply-adds of a step that make a thread worth waking and waiting for, some 0.2 ms of work. The benchmark
    /// <c>threads</c> measures around it: with less, two threads gain little where both have a processor, and take up
    /// to several times as long as one where another process wants one of these.
    /// </summary>
    const long PerThread = 10_000_000;

    /// <summary>The threads for steps of so many rows, at most one for each processor.</summary>
    public static int Threads(Network network, int rows) =>
        (int)Math.Clamp(MultiplyAdds(network) * (double)rows / PerThread, 1, Environment.ProcessorCount);

    /// <summary>
    /// The multiply-adds of a row in the layers that have a kernel: forward, and backward for the gradient of the
    /// kernel where it learns, and for that of the input where something before it learns.
    /// </summary>
    public static long MultiplyAdds(Network network)
    {
        long sum = 0;
        bool[] learns = network.Values.FollowingFrom(i => network.Nodes[i].TrainableCount > 0);
        foreach (NetworkNode node in network.Nodes)
        {
            long places = node.Output.Size / node.Output[0];
            long once = node.Tensors.Where(tensor => tensor.Role == TensorRole.Kernel)
                .Sum(tensor => places * tensor.Shape!.Size);
            sum += once * (1 + (node.TrainableCount > 0 ? 1 : 0)
                + (node.Inputs.Any(value => value >= 0 && learns[value]) ? 1 : 0));
        }
        return sum;
    }
}
