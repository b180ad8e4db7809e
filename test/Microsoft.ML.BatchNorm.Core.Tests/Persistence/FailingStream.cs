namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>A stream whose device fails, and that notes whether it was flushed or closed.</summary>
sealed class FailingStream(int after) : MemoryStream
{
    public bool Flushed { get; private set; }

    public bool Closed { get; private set; }

    public override int Read(Span<byte> buffer) => throw new IOException("the cable is out");

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (Position + buffer.Length > after)
            throw new IOException("the disk is full");
        base.Write(buffer);
    }

    public override void Flush() => Flushed = true;

    protected override void Dispose(bool disposing)
    {
        Closed = true;
        base.Dispose(disposing);
    }
}
