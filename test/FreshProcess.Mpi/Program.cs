// What is tested on several ranks:
//   all             calls, statistics, trainings and a pipeline; each rank writes its results to a file
//   fail, resume    a training with checkpoints in which rank 1 fails in some way, and how it goes on
//   hello           nothing, and what happens after it
// Each rank writes its process and its machine to a file, by which the tests see whether it has ended.

using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.Mpi;
using Microsoft.ML.BatchNorm.Testing;

ICollective used = Mpi.Run(args, ranks =>
{
    File.WriteAllText(
        Path.Combine(args[1], $"{ranks.Rank}.pid"), $"{Environment.ProcessId} {Environment.MachineName} {ranks.Size}");
    switch (args)
    {
        case ["all", var folder]:
            AllWork.Run(ranks, folder);
            break;
        case ["fail", var folder, var way]:
            Failure.Run(ranks, folder, way);
            break;
        case ["resume", var folder]:
            Failure.Resume(ranks, folder);
            break;
        case ["hello", _]:
            break;
        default:
            throw new ArgumentException($"There is nothing to do for '{string.Join(' ', args)}'.");
    }
    return ranks;
});
if (args[0] == "hello")
{
    AllWork.Throws<InvalidOperationException>(() => used.Sum([1f]));
    AllWork.Throws<InvalidOperationException>(() => Mpi.Run(args, ranks => ranks.Rank));
}
