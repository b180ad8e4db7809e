namespace Microsoft.ML.BatchNorm;

public sealed partial class TrainingCheckpoint
{
    /// <summary>Writes every bit of the checkpoint in this library's own format.</summary>
    /// <param name="stream">Written from where it stands, neither flushed nor closed.</param>
    /// <exception cref="IOException">The stream failed.</exception>
    public void Save(Stream stream) => throw new InvalidOperationException(Phase);

    /// <summary>Reads a checkpoint that <see cref="Save"/> wrote; a run resumed from it comes to the same bits.</summary>
    /// <param name="stream">Read up to the checkpoint's last byte and not further. It need not be able to seek.</param>
    /// <remarks>
    /// Truncation and damage are noticed. Memory grows with the bytes that are there, not with lengths claimed.
    /// </remarks>
    /// <exception cref="InvalidDataException">
    /// The stream holds no checkpoint here, or it is truncated, damaged, of an unknown version, or holds a value out of
    /// range; the message says which.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static TrainingCheckpoint Load(Stream stream) => throw null!;
}
