using System.Runtime.InteropServices;
using Microsoft.ML.BatchNorm.Training;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Rows in a temporary file: written once, then read in blocks, of which the last ones stay in memory. The file has no
/// name where the system allows that, and is the system's to delete where it does not, so that nothing of it is left
/// behind, whatever becomes of the process.
/// </summary>
sealed class RowFile : ITrainingRows, IDisposable
{
    readonly FileStream file;
    readonly int valuesPerRow, blockRows, mostHeld;

    /// <summary>The blocks in memory, what number each has, and when it was last read.</summary>
    readonly List<float[]> held = [];
    readonly List<int> numbers = [];
    readonly List<long> used = [];

    /// <summary>Where a block is in memory, or −1.</summary>
    int[] places = [];

    float[] writing;
    int written;
    long time;

    /// <param name="folder">Where the file is.</param>
    /// <param name="featuresPerRow">The number of values in a row's features.</param>
    /// <param name="targetsPerRow">The number of values in a row's targets.</param>
    /// <param name="hasWeights">Whether each row has a weight.</param>
    /// <param name="isMixed">
    /// Whether as many blocks stay in memory as an epoch mixes; else one, for rows that are read in ascending order.
    /// </param>
    /// <exception cref="IOException">There can be no file.</exception>
    /// <exception cref="UnauthorizedAccessException">There can be no file.</exception>
    public RowFile(string folder, int featuresPerRow, int targetsPerRow, bool hasWeights, bool isMixed = true)
    {
        (FeaturesPerRow, TargetsPerRow, HasWeights) = (featuresPerRow, targetsPerRow, hasWeights);
        valuesPerRow = featuresPerRow + targetsPerRow + (hasWeights ? 1 : 0);
        blockRows = RowBlocks.RowsPerBlock(valuesPerRow);
        mostHeld = isMixed ? RowBlocks.BlocksPerWindow(valuesPerRow) : 1;
        writing = new float[blockRows * valuesPerRow];
        file = Open(Path.Combine(folder, $"rows.{Guid.NewGuid():N}.tmp"));
    }

    /// <inheritdoc/>
    public int Rows { get; private set; }

    /// <inheritdoc/>
    public int FeaturesPerRow { get; }

    /// <inheritdoc/>
    public int TargetsPerRow { get; }

    /// <inheritdoc/>
    public bool HasWeights { get; }

    /// <summary>The bytes of the rows.</summary>
    public long Length => (long)Rows * valuesPerRow * sizeof(float);

    /// <summary>The most bytes of them in memory.</summary>
    public long BytesInMemory => (long)mostHeld * blockRows * valuesPerRow * sizeof(float);

    /// <summary>Adds a row behind the others; before the first is read.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    /// <exception cref="InvalidOperationException">There are 2,147,483,647 rows.</exception>
    public void Add(ReadOnlySpan<float> features, ReadOnlySpan<float> targets, float weight = 1)
    {
        if (Rows == int.MaxValue)
            throw new InvalidOperationException($"There are more than {int.MaxValue} rows, the most of a training.");
        Span<float> row = writing.AsSpan(Rows % blockRows * valuesPerRow, valuesPerRow);
        features.CopyTo(row);
        targets.CopyTo(row[FeaturesPerRow..]);
        if (HasWeights)
            row[^1] = weight;
        Rows++;
        if (Rows % blockRows == 0)
            Write(blockRows);
    }

    /// <summary>Ends the writing.</summary>
    /// <exception cref="IOException">The last rows cannot be written.</exception>
    public void Complete()
    {
        Write(Rows - written);
        writing = [];
        places = new int[((long)Rows + blockRows - 1) / blockRows];
        Array.Fill(places, -1);
    }

    /// <inheritdoc/>
    public void Read(ReadOnlySpan<int> rows, Span<float> features, Span<float> targets, Span<float> weights)
    {
        for (int i = 0; i < rows.Length; i++)
        {
            int block = rows[i] / blockRows;
            ReadOnlySpan<float> row =
                Block(block).AsSpan((rows[i] - block * blockRows) * valuesPerRow, valuesPerRow);
            row[..FeaturesPerRow].CopyTo(features[(i * FeaturesPerRow)..]);
            row.Slice(FeaturesPerRow, TargetsPerRow).CopyTo(targets[(i * TargetsPerRow)..]);
            if (HasWeights)
                weights[i] = row[^1];
        }
    }

    /// <summary>Deletes the file.</summary>
    public void Dispose() => file.Dispose();

    static FileStream Open(string path)
    {
        bool isWindows = OperatingSystem.IsWindows();
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.None,
            BufferSize = 0,
            Options = isWindows ? FileOptions.DeleteOnClose : FileOptions.None,
        };
        if (!isWindows)
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        var file = new FileStream(path, options);
        if (!isWindows)
            File.Delete(path);
        return file;
    }

    void Write(int rows)
    {
        RandomAccess.Write(
            file.SafeFileHandle, MemoryMarshal.AsBytes(writing.AsSpan(0, rows * valuesPerRow)),
            (long)written * valuesPerRow * sizeof(float));
        written += rows;
    }

    float[] Block(int block)
    {
        int place = places[block] >= 0 ? places[block] : Load(block);
        used[place] = ++time;
        return held[place];
    }

    int Load(int block)
    {
        int place = held.Count;
        if (place < mostHeld)
        {
            held.Add(new float[blockRows * valuesPerRow]);
            numbers.Add(block);
            used.Add(0);
        }
        else
        {
            place = used.IndexOf(used.Min());
            places[numbers[place]] = -1;
        }
        int rows = Math.Min(blockRows, Rows - block * blockRows);
        Fill(
            MemoryMarshal.AsBytes(held[place].AsSpan(0, rows * valuesPerRow)),
            (long)block * blockRows * valuesPerRow * sizeof(float));
        (numbers[place], places[block]) = (block, place);
        return place;
    }

    void Fill(Span<byte> bytes, long offset)
    {
        while (!bytes.IsEmpty)
        {
            int read = RandomAccess.Read(file.SafeFileHandle, bytes, offset);
            if (read == 0)
                throw new EndOfStreamException("The temporary file of the rows is shorter than what was written.");
            bytes = bytes[read..];
            offset += read;
        }
    }
}
