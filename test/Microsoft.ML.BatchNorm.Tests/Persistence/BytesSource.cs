using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>A file's bytes, when the file is gone.</summary>
sealed class BytesSource(byte[] bytes) : IMultiStreamSource
{
    public int Count => 1;

    public string? GetPathOrNull(int index) => null;

    public Stream Open(int index) => new MemoryStream(bytes, writable: false);

    public TextReader OpenTextReader(int index) => new StreamReader(Open(index));
}
