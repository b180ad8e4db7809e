namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>The first 16 bytes of a checkpoint.</summary>
static class CheckpointHeader
{
    public const int Length = PartHeader.Length;

    /// <summary>Room for TorchScript modules, which are in each phase's definition.</summary>
    public const int MaxRun = 1 << 30;

    static readonly PartHeader header = new("checkpoint", "BNCP", "run", MaxRun);

    public static void Write(ByteSink sink, int runLength, PartFlags flags) => header.Write(sink, runLength, flags);

    /// <summary>The length of the run in bytes that the header claims, within bounds.</summary>
    public static int Read(ByteSource source, out PartFlags flags) => header.Read(source, out flags);
}
