using System.Diagnostics;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>A training with checkpoints that does not come to its end.</summary>
static class Failure
{
    static readonly RankLesson lesson = RankLesson.All["dense"];

    /// <summary>
    /// Trains, and fails on rank 1, where the others wait for it: in the fourth epoch, or with an exception before.
    /// </summary>
    public static void Run(ICollective ranks, string folder, string way)
    {
        if (way == "throw" && ranks.Rank == 1)
            Throw(ranks);
        lesson.Train(ranks, CheckpointIn(folder), number =>
        {
            if (ranks.Rank == 1 && number == 35)
                Fail(ranks, way);
        });
        throw new InvalidOperationException("The training came to its end.");
    }

    /// <summary>Goes on from the checkpoint, and writes the network.</summary>
    public static void Resume(ICollective ranks, string folder)
    {
        NetworkState state = lesson.Resume(ranks, CheckpointIn(folder)).State;
        using FileStream file = File.Create(Path.Combine(folder, $"{ranks.Rank}.network"));
        lesson.Network.Save(file, state);
    }

    static string CheckpointIn(string folder) => Path.Combine(folder, "run.checkpoint");

    static void Throw(ICollective ranks)
    {
        try
        {
            throw new InvalidDataException("row 7 is torn");
        }
        finally
        {
            ranks.Broadcast([1], root: 0);
        }
    }

    static void Fail(ICollective ranks, string way)
    {
        switch (way)
        {
            case "kill":
                Process.GetCurrentProcess().Kill();
                break;
            case "exit 0" or "exit 5":
                Environment.Exit(way[^1] - '0');
                break;
            case "abort":
                ranks.Abort("it was told to");
                break;
            case "crash":
                new Thread(() => throw new InvalidOperationException("a thread of its own")).Start();
                break;
        }
        Thread.Sleep(Timeout.Infinite);
    }
}
