namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>Memory that libtorch has given back and will hand out again.</summary>
static class FreedMemory
{
    static readonly long[] lengths = [16, 64, 100, 256, 600, 1024, 4096, 10_000, 20_000, 50_000, 100_000, 300_000];

    /// <summary>Fills it with NaN, which shows where code reads memory that it has not written.</summary>
    public static void FillWithNaN()
    {
        using var scope = torch.NewDisposeScope();
        foreach (long length in Enumerable.Repeat(lengths, 4).SelectMany(each => each))
            torch.full([length], float.NaN);
    }
}
