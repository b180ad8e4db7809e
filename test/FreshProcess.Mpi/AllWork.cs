using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>One job with everything that ranks do together.</summary>
static class AllWork
{
    /// <summary>
    /// Writes the results of this rank, which are the same on all, to a file with its number; rank 0 also writes the
    /// statistics and the networks.
    /// </summary>
    public static void Run(ICollective ranks, string folder)
    {
        CatchNullReferences();
        CheckCalls(ranks);
        var results = new List<string>();
        Add("statistics", stream => RankStatistics.Of(ranks).Save(stream, RankStatistics.Options));
        foreach ((string name, RankLesson lesson) in RankLesson.All)
        {
            NetworkState state = lesson.Train(ranks).State;
            Add(name, stream => lesson.Network.Save(stream, state));
            NetworkState torch = lesson.TrainWithTorch(ranks).State;
            Add($"{name} by TorchSharp", stream => lesson.Network.Save(stream, torch));
        }
        TrainingCheckpoint canceled = RankLesson.All["dropout"].Cancel(ranks);
        Add($"canceled after step {canceled.Step} of epoch {canceled.Epoch}", canceled.Save);
        Add("pipeline", stream => RankPipeline.Fit(ranks, folder).Save(stream));
        File.WriteAllLines(Path.Combine(folder, $"{ranks.Rank}.txt"), results);

        void Add(string name, Action<Stream> save)
        {
            var stream = new MemoryStream();
            save(stream);
            results.Add($"{name}: {Convert.ToHexString(SHA256.HashData(stream.ToArray()))}");
            if (ranks.Rank == 0)
                File.WriteAllBytes(Path.Combine(folder, name), stream.ToArray());
        }
    }

    /// <summary>MPI must leave the signal to .NET by which it finds null references.</summary>
    static void CatchNullReferences()
    {
        string?[] none = [null];
        for (int i = 0; i < 100; i++)
        {
            try
            {
                _ = none[0]!.Length;
                throw new InvalidOperationException("A null reference went unseen.");
            }
            catch (NullReferenceException)
            {
            }
        }
    }

    static void CheckCalls(ICollective ranks)
    {
        int size = ranks.Size, rank = ranks.Rank;
        int[] all = new int[2 * size];
        ranks.Gather(MemoryMarshal.AsBytes<int>([rank, -rank]), MemoryMarshal.AsBytes(all.AsSpan()));
        Check(all.SequenceEqual(Enumerable.Range(0, size).SelectMany(r => (int[])[r, -r])), "gather");
        ranks.Gather([], []);

        float[] floats = [.. Enumerable.Range(0, 2_100_003).Select(i => MathF.Sin(i + rank))];
        double[] doubles = [.. Enumerable.Range(0, 1_003).Select(i => Math.Cos(i + rank))];
        ranks.Sum(floats);
        ranks.Sum(doubles);
        ranks.Sum(Span<float>.Empty);
        for (int i = 0; i < floats.Length; i += 9_973)
            Check(Math.Abs(floats[i] - Enumerable.Range(0, size).Sum(r => Math.Sin(i + r))) < 1e-5, "sum of floats");
        for (int i = 0; i < doubles.Length; i++)
            Check(Math.Abs(doubles[i] - Enumerable.Range(0, size).Sum(r => Math.Cos(i + r))) < 1e-13, "sum of doubles");
        byte[] hashes = new byte[32 * size];
        byte[] sums = [.. MemoryMarshal.AsBytes<float>(floats), .. MemoryMarshal.AsBytes<double>(doubles)];
        ranks.Gather(SHA256.HashData(sums), hashes);
        Check(hashes.AsSpan()[..^32].SequenceEqual(hashes.AsSpan()[32..]), "bits of the sums");

        int last = size - 1, sent = rank == last ? 77 : 0;
        ranks.Broadcast(MemoryMarshal.AsBytes(new Span<int>(ref sent)), last);
        Check(sent == 77, "broadcast");

        Throws<ArgumentException>(() => ranks.Gather([1], new byte[size + 1]));
        Throws<ArgumentOutOfRangeException>(() => ranks.Broadcast([1], size));
        Exception? error = null;
        var other = new Thread(() => error = Throws<InvalidOperationException>(() => ranks.Sum([1f])));
        other.Start();
        other.Join();
        Check(error!.Message.Contains("one thread", StringComparison.Ordinal), "a call from another thread");
    }

    public static T Throws<T>(Action call) where T : Exception
    {
        try
        {
            call();
        }
        catch (T error)
        {
            return error;
        }
        throw new InvalidOperationException($"There was no {typeof(T).Name}.");
    }

    static void Check(bool isRight, string what)
    {
        if (!isRight)
            throw new InvalidOperationException($"Wrong: {what}.");
    }
}
