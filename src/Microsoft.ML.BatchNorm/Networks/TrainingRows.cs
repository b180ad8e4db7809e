using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Trainers;

/// <summary>
/// Reads the rows that a network is trained on once: into memory or, if they do not fit there, into a temporary file,
/// which <see cref="Dispose"/> deletes. Like ML.NET's trainers, it skips rows without a label, with a feature that is
/// not finite, or with a weight that is not positive and finite. Without a label column, every row has the label 0.
/// </summary>
sealed class TrainingRows : IDisposable
{
    const int CheckedRows = 256;

    /// <summary>The most memory to allocate before a row has been read, however many rows a view claims.</summary>
    const long FirstBytes = 16 << 20;

    /// <summary>The most room, as a multiple of the rows read so far, if a view claims more rows.</summary>
    const long BelievedTimes = 8;

    readonly IHost host;
    readonly DataViewSchema.Column feature;
    readonly string role, folder;
    readonly int length, mostRows;
    readonly bool isWeighted;
    readonly NonFinite nonFinite;
    readonly long claimedRows;
    float[] features = [], targets = [], weights = [];
    RowFile? file;
    int rows;
    long unlabeled, unweighted, incomplete;

    TrainingRows(IHost host, RoleMappedData data, string role, NonFinite nonFinite, long bytesInMemory)
    {
        (this.host, this.role, this.nonFinite) = (host, role, nonFinite);
        folder = ((IHostEnvironmentInternal)host).TempFilePath;
        feature = data.Schema.Feature!.Value;
        length = feature.Type.GetVectorSize();
        isWeighted = data.Schema.Weight.HasValue;
        mostRows = (int)Math.Min(bytesInMemory / BytesPerRow, Array.MaxLength / length);
        claimedRows = data.Data.GetRowCount() ?? 0;
    }

    /// <summary>What the rows are for, in messages. Those of the training are read in many orders.</summary>
    public const string Training = "training", Validation = "validation", Given = "given";

    /// <summary>The bytes of memory that the rows occupy.</summary>
    public long BytesInMemory => file?.BytesInMemory ?? rows * BytesPerRow;

    long BytesPerRow => sizeof(float) * (length + (isWeighted ? 2L : 1));

    /// <param name="host">Reports errors, and may cancel.</param>
    /// <param name="channel">Learns how many rows were skipped, and where the others are if not in memory.</param>
    /// <param name="data">The data, whose feature, label and weight columns were checked.</param>
    /// <param name="role">What the rows are for.</param>
    /// <param name="nonFinite">What happens to a row with a feature that is not finite.</param>
    /// <param name="bytesInMemory">The most bytes of rows in memory.</param>
    public static TrainingRows Read(
        IHost host, IChannel channel, RoleMappedData data, string role, NonFinite nonFinite, long bytesInMemory)
    {
        var rows = new TrainingRows(host, data, role, nonFinite, bytesInMemory);
        try
        {
            rows.Read(data);
            rows.Report(channel);
            rows.Data.Inspect(host.CheckAlive);
            return rows;
        }
        catch
        {
            rows.Dispose();
            throw;
        }
    }

    public TrainingData Data => field ??= file is not null
        ? new TrainingData(file)
        : new TrainingData(
            rows, features.AsMemory(0, rows * length), targets.AsMemory(0, rows),
            isWeighted ? weights.AsMemory(0, rows) : default);

    public void Dispose() => file?.Dispose();

    void Read(RoleMappedData data)
    {
        DataViewSchema.Column[] needed =
            [.. new[] { feature, data.Schema.Label, data.Schema.Weight }.OfType<DataViewSchema.Column>()];
        using DataViewRowCursor cursor = data.Data.GetRowCursor(needed.Distinct());
        ValueGetter<float>? getLabel =
            data.Schema.Label is { } label ? RowCursorUtils.GetLabelGetter(cursor, label.Index) : null;
        ValueGetter<float>? getWeight = cursor.GetOptWeightFloatGetter(data);
        RowReader<float> reader = RowReader.Of<float>(host, cursor, feature, length);
        Action addToFile = () => Add(0);
        float target = 0, weight = 1;
        for (long seen = 0; cursor.MoveNext(); seen++)
        {
            if (seen % CheckedRows == 0)
                host.CheckAlive();
            getLabel?.Invoke(ref target);
            if (!float.IsFinite(target))
            {
                unlabeled++;
                continue;
            }
            getWeight?.Invoke(ref weight);
            if (!(weight > 0 && float.IsFinite(weight)))
            {
                unweighted++;
                continue;
            }
            if (file is null && rows == targets.Length)
                Grow();
            int place = file is null ? rows : 0;
            reader.Target = features;
            reader.Read(place);
            if (!IsFinite(features.AsSpan(place * length, length), cursor.Position))
            {
                incomplete++;
                continue;
            }
            targets[place] = target;
            if (isWeighted)
                weights[place] = weight;
            if (file is not null)
                OnFile(addToFile);
            rows++;
        }
        if (file is not null)
            OnFile(file.Complete);
    }

    /// <summary>Makes room for more rows in memory, or moves the rows to a file.</summary>
    void Grow()
    {
        int capacity = rows == 0
            ? FirstCapacity()
            : (int)Math.Min(Math.Max(2L * rows, Math.Min(claimedRows, BelievedTimes * rows)), mostRows);
        try
        {
            if (rows < capacity)
            {
                Resize(capacity);
                return;
            }
        }
        catch (OutOfMemoryException)
        {
            // The memory is used up; the rows that were read are kept and move to the file.
        }
        OnFile(() =>
        {
            file = new RowFile(folder, length, 1, isWeighted, isMixed: role == Training);
            for (int row = 0; row < rows; row++)
                Add(row);
        });
        (features, targets, weights) = ([], [], []);
        Resize(1);
    }

    int FirstCapacity()
    {
        long least = Math.Min(mostRows, claimedRows > 0 ? Math.Max(1, FirstBytes / BytesPerRow) : CheckedRows);
        if (claimedRows > 0 && claimedRows <= least)
            return (int)claimedRows;
        // The capacity is halved from the maximum, so that doubling ends exactly there and no array is copied into one
        // that is hardly larger.
        int capacity = mostRows;
        while (capacity / 2 >= least && least > 0)
            capacity = (capacity + 1) / 2;
        return capacity;
    }

    void Resize(int capacity)
    {
        Array.Resize(ref features, capacity * length);
        if (isWeighted)
            Array.Resize(ref weights, capacity);
        Array.Resize(ref targets, capacity);
    }

    void Add(int place) => file!.Add(
        features.AsSpan(place * length, length), targets.AsSpan(place, 1), isWeighted ? weights[place] : 1);

    void OnFile(Action work)
    {
        try
        {
            work();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw host.ExceptIO(
                error, $"The {role} data does not fit in memory, and after {rows} rows it cannot be kept in a "
                + $"temporary file in '{folder}' either. Free space there, set MLContext.TempFilePath to a folder that "
                + $"has some before you create the trainer, or raise DataBytesInMemory. {error.Message}");
        }
        catch (InvalidOperationException error)
        {
            throw host.Except(error, error.Message);
        }
    }

    void Report(IChannel channel)
    {
        if (unlabeled > 0)
            channel.Warning($"Skipped {unlabeled} rows of the {role} data whose label is missing.");
        if (unweighted > 0)
            channel.Warning($"Skipped {unweighted} rows of the {role} data whose weight is not positive and finite.");
        if (incomplete > 0)
            channel.Warning(
                $"Skipped {incomplete} of {incomplete + rows} rows of the {role} data with a missing value (NaN or " +
                $"infinite) in column '{feature.Name}'. Transforms.ReplaceMissingValues keeps such rows; " +
                "NonFinite.Throw in the options makes them an error.");
        if (rows == 0)
            throw host.Except(unlabeled + unweighted + incomplete is var read and > 0
                ? $"The {role} data has no rows with a label, a weight and finite features: of {read} rows, " +
                    $"{unlabeled} have no label, {unweighted} no weight that is positive and finite, and " +
                    $"{incomplete} a feature that is not finite, which Transforms.ReplaceMissingValues replaces."
                : $"The {role} data has no rows.");
        channel.Trace($"Read {rows} rows of {length} features.");
        if (file is not null)
            channel.Info(
                $"The {role} data does not fit in the memory that it may take (DataBytesInMemory): its {rows} rows " +
                $"are in a temporary file of {file.Length} bytes in '{folder}' until training ends.");
    }

    bool IsFinite(ReadOnlySpan<float> row, long position)
    {
        int slot = Finite.IndexOf(row);
        if (slot >= 0 && nonFinite == NonFinite.Throw)
            throw host.Except(RowFaults.NonFinite(
                feature, row, position,
                "or set NonFinite.Ignore in the trainer's options, which leaves such rows out")!);
        return slot < 0;
    }
}
