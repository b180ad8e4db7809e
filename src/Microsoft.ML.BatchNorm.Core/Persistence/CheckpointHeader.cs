namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>The first 16 bytes of a checkpoint.</summary>
static class CheckpointHeader
{
    public const int Length = PartHeader.Length;
    public const int MaxRun = 1 << 26;

    static readonly PartHeader header = new("checkpoint", "BNCP", "run", MaxRun);

    public static void Write(ByteSink sink, int runLength) => header.Write(sink, runLength);

    /// <summary>The length of the run in bytes that the header claims, within bounds.</summary>
    public static int Read(ByteSource source) => header.Read(source);
}
