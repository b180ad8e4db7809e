using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Rows in a temporary file, which is written once and then read in blocks. The blocks that were read last stay in
/// memory. The file disappears with the process, even if that is killed: on Unix its name is deleted at once, on
/// Windows the system deletes it when it is closed.
/// </summary>
sealed class RowFile : ITrainingRows, IDisposable
{
    readonly FileStream file;
    readonly int valuesPerRow, blockRows, mostHeld;

    /// <summary>The blocks in memory, the number of each, and when it was last read.</summary>
    readonly List<float[]> held = [];
    readonly List<int> numbers = [];
    readonly List<long> used = [];

    /// <summary>The index in <see cref="held"/> of each block, or −1.</summary>
    int[] places = [];

    float[] writing;
    int written;
    long time;

    /// <param name="folder">The folder that the file is in.</param>
    /// <param name="featuresPerRow">The number of values in a row's features.</param>
    /// <param name="targetsPerRow">The number of values in a row's targets.</param>
    /// <param name="hasWeights">Whether each row has a weight.</param>
    /// <param name="isMixed">
    /// Whether as many blocks stay in memory as an epoch shuffles together; false keeps one, which is enough for rows
    /// that are read in ascending order.
    /// </param>
    /// <exception cref="IOException">The file cannot be created.</exception>
    /// <exception cref="UnauthorizedAccessException">The file cannot be created.</exception>
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

    /// <summary>The number of bytes of all rows.</summary>
    public long Length => (long)Rows * valuesPerRow * sizeof(float);

    /// <summary>The most bytes of rows that are in memory at a time.</summary>
    public long BytesInMemory => (long)mostHeld * blockRows * valuesPerRow * sizeof(float);

    /// <summary>Appends a row. All rows are added before the first is read.</summary>
    /// <exception cref="IOException">The row cannot be written.</exception>
    /// <exception cref="InvalidOperationException">There are 2,147,483,647 rows already.</exception>
    public void Add(ReadOnlySpan<float> features, ReadOnlySpan<float> targets, float weight = 1)
    {
        if (Rows == int.MaxValue)
            throw new InvalidOperationException(
                $"There are more than {int.MaxValue} rows, the most that a run can have.");
        Span<float> row = writing.AsSpan(Rows % blockRows * valuesPerRow, valuesPerRow);
        features.CopyTo(row);
        targets.CopyTo(row[FeaturesPerRow..]);
        if (HasWeights)
            row[^1] = weight;
        Rows++;
        if (Rows % blockRows == 0)
            Write(blockRows);
    }

    /// <summary>Ends writing; reading may begin.</summary>
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

/// <summary>
/// How rows are split for shuffling: into blocks of neighbours, which a disk reads fast, and windows of several blocks,
/// which fit in memory. The split depends only on the number and the size of the rows, so that rows in memory and in a
/// file are shuffled alike. Rows that fit in one window are one block.
/// </summary>
readonly record struct RowBlocks
{
    /// <summary>256 KB and 64 MB of floats.</summary>
    const int BlockValues = 1 << 16, WindowValues = 1 << 24;

    public RowBlocks(int rows, int valuesPerRow)
    {
        Rows = rows;
        int blockRows = RowsPerBlock(valuesPerRow), windowBlocks = BlocksPerWindow(valuesPerRow);
        (BlockRows, WindowBlocks) = rows <= (long)blockRows * windowBlocks ? (rows, 1) : (blockRows, windowBlocks);
    }

    /// <summary>The number of rows.</summary>
    public int Rows { get; }

    /// <summary>The number of rows in a block; the last one may have fewer.</summary>
    public int BlockRows { get; }

    /// <summary>The number of blocks whose rows are shuffled together; the last window may have fewer.</summary>
    public int WindowBlocks { get; }

    /// <summary>The number of blocks.</summary>
    public int Count => (int)(((long)Rows + BlockRows - 1) / BlockRows);

    public static int RowsPerBlock(int valuesPerRow) => Math.Max(1, BlockValues / valuesPerRow);

    public static int BlocksPerWindow(int valuesPerRow) =>
        (int)Math.Max(1, WindowValues / ((long)RowsPerBlock(valuesPerRow) * valuesPerRow));

    /// <summary>The first row of a block; after the last block, the number of rows.</summary>
    public int FirstRow(int block) => (int)Math.Min((long)block * BlockRows, Rows);
}
