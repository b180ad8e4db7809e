using System.Runtime.InteropServices;
using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>What the ranks of a run must have in common.</summary>
static class RankAgreement
{
    /// <summary>What a rank has to train and to validate on.</summary>
    readonly record struct Given(int Rows, int ValidationRows, bool HasWeights, bool HasValidationWeights);

    /// <summary>The rows of all ranks; null for one rank, and if there are none. One message.</summary>
    /// <exception cref="ArgumentException">Only some ranks have validation rows or weights.</exception>
    public static (RowShares? Training, RowShares? Validation) SharesOf(
        ICollective? ranks, TrainingData data, TrainingData? validation)
    {
        if (ranks is null)
            return default;
        Given[] all = ranks.Gather(new Given(
            data.Rows, validation?.Rows ?? 0, data.HasWeights, validation?.HasWeights ?? false));
        CheckSame(all, given => given.ValidationRows > 0, "validation rows");
        CheckSame(all, given => given.HasWeights, "weights of rows");
        CheckSame(all, given => given.HasValidationWeights, "weights of validation rows");
        return (Shares(given => given.Rows), validation is null ? null : Shares(given => given.ValidationRows));

        RowShares Shares(Func<Given, int> rows) => new(ranks.Rank, Array.ConvertAll(all, given => rows(given)));
    }

    /// <summary>
    /// Checks that all ranks have the same network, options, engine, position and parameters to begin with. One message.
    /// </summary>
    /// <exception cref="ArgumentException">They differ; the message names the ranks.</exception>
    public static void CheckStart(ICollective ranks, RunSetup setup, RunPosition position, string engine)
    {
        string definition = Definition.ToText(
            new CheckpointDefinition(setup, position, position.Optimizer.Steps), TrainingCheckpoint.Json);
        var checksum = new Crc32C();
        checksum.Append(Encoding.UTF8.GetBytes(definition + engine));
        int[] different = Different(ranks, [checksum.Value, ChecksumOf(setup.Network, position.State)]);
        if (different.Length > 0)
            throw new ArgumentException(
                $"{Name(different)} another network, other options, another engine or other parameters to begin "
                + "with than rank 0. Give the same to all, and resume a run on all, from the same checkpoint; with ML.NET, "
                + "give the MLContext a seed.");

        static string Name(int[] ranks) =>
            ranks.Length == 1 ? $"Rank {ranks[0]} has" : $"Ranks {string.Join(", ", ranks)} have";
    }

    /// <summary>The ranks whose bytes differ from those of rank 0, as text; or null. One message.</summary>
    public static string? Different(ICollective ranks, ReadOnlySpan<byte> given)
    {
        var checksum = new Crc32C();
        checksum.Append(given);
        int[] different = Different(ranks, [checksum.Value]);
        return different.Length switch
        {
            0 => null,
            1 => $"rank {different[0]}",
            _ => $"ranks {string.Join(", ", different)}",
        };
    }

    /// <summary>Checks that all ranks have the same bits. One message.</summary>
    /// <exception cref="InvalidOperationException">They have drifted apart; the message names the ranks.</exception>
    public static void CheckParameters(ICollective ranks, Network network, NetworkState state, int epoch)
    {
        int[] different = Different(ranks, [ChecksumOf(network, state)]);
        if (different.Length > 0)
            throw new InvalidOperationException(
                $"The ranks have drifted apart: at the end of epoch {epoch} the parameters of rank "
                + $"{string.Join(", ", different)} differ from those of rank 0. Processors of different kinds may round "
                + "differently: run all ranks on the same kind, and start again from the last checkpoint.");
    }

    /// <summary>The ranks that have other checksums than rank 0.</summary>
    static int[] Different(ICollective ranks, ReadOnlySpan<uint> mine)
    {
        uint[] all = new uint[ranks.Size * mine.Length];
        ranks.Gather(MemoryMarshal.AsBytes(mine), MemoryMarshal.AsBytes(all.AsSpan()));
        int length = mine.Length;
        return
        [
            .. Enumerable.Range(1, ranks.Size - 1).Where(
                rank => !all.AsSpan(rank * length, length).SequenceEqual(all.AsSpan(0, length))),
        ];
    }

    static uint ChecksumOf(Network network, NetworkState state)
    {
        var checksum = new Crc32C();
        foreach (SafetensorsTensor tensor in network.StateTensors(state, ""))
        {
            switch (tensor.Values)
            {
                case float[] values:
                    checksum.Append(MemoryMarshal.AsBytes<float>(values));
                    break;
                case double[] values:
                    checksum.Append(MemoryMarshal.AsBytes<double>(values));
                    break;
                case long[] values:
                    checksum.Append(MemoryMarshal.AsBytes<long>(values));
                    break;
            }
        }
        return checksum.Value;
    }

    static void CheckSame(Given[] all, Func<Given, bool> has, string what)
    {
        int[] with = [.. Enumerable.Range(0, all.Length).Where(rank => has(all[rank]))];
        if (with.Length > 0 && with.Length < all.Length)
            throw new ArgumentException(
                $"Of {all.Length} ranks, only rank {string.Join(", ", with)} has {what}. Give them to all or to none.");
    }
}
