using System.Diagnostics;

namespace Microsoft.ML.BatchNorm.Mpi.Tests;

/// <summary>A program without a launcher, which is one rank and needs no MPI; and how launchers are known.</summary>
[TestClass]
public class OneProcessTests
{
    [TestMethod]
    public void Without_a_launcher_the_program_is_one_rank_and_no_library_is_loaded()
    {
        byte[] all = new byte[1];

        (int Rank, int Size) ranks = Mpi.Run([], ranks =>
        {
            ranks.Gather([7], all);
            return (ranks.Rank, ranks.Size);
        });

        Assert.AreEqual((0, 1), ranks);
        Assert.AreEqual(7, all[0]);
        using var process = Process.GetCurrentProcess();
        Assert.DoesNotContain(
            module => module.ModuleName.Contains("mpi", StringComparison.Ordinal)
                && !module.ModuleName.StartsWith("Microsoft.", StringComparison.Ordinal),
            process.Modules.Cast<ProcessModule>());
    }

    [TestMethod]
    public void Its_exception_is_the_caller_s()
    {
        var error = new InvalidDataException("row 7 is torn");
        Assert.AreSame(error, Assert.ThrowsExactly<InvalidDataException>(() => Mpi.Run([], Fail)));
        Assert.AreSame(error, Assert.ThrowsExactly<InvalidDataException>(() => Mpi.Run([], FailLater)));

        void Fail(ICollective ranks) => throw error;

        async Task<int> FailLater(ICollective ranks)
        {
            await Task.Yield();
            throw error;
        }
    }

    [TestMethod]
    public void An_asynchronous_program_is_awaited_and_comes_back_to_its_thread()
    {
        int before = 0, after = -1;

        Mpi.Run([], async ranks =>
        {
            before = Environment.CurrentManagedThreadId;
            await Task.Delay(1);
            await Task.Run(() => { });
            after = Environment.CurrentManagedThreadId;
        });

        Assert.AreEqual(before, after);
        Assert.AreEqual(3, Mpi.Run([], async ranks =>
        {
            await Task.Yield();
            return 3;
        }));
    }

    [TestMethod]
    [DataRow("", null)]
    [DataRow("OMPI_COMM_WORLD_SIZE=4", 4)]
    [DataRow("PMI_SIZE=3", 3)]
    [DataRow("PMI_SIZE=1", 1)]
    [DataRow("PMIX_RANK=5", 6)]
    [DataRow("PMIX_RANK=0 OMPI_COMM_WORLD_SIZE=2", 2)]
    [DataRow("SLURM_STEP_NUM_TASKS=2", 2)]
    [DataRow("SLURM_STEP_NUM_TASKS=1", null)]
    [DataRow("SLURM_STEP_NUM_TASKS=8 PMI_SIZE=16", 16)]
    [DataRow("PMI_SIZE=many", null)]
    public void The_environment_tells_how_many_ranks_there_are_at_least(string variables, int? ranks)
    {
        (string Name, string Value)[] pairs =
        [
            .. variables.Split(' ', StringSplitOptions.RemoveEmptyEntries)
                .Select(pair => pair.Split('=')).Select(pair => (pair[0], pair[1])),
        ];
        try
        {
            foreach ((string name, string value) in pairs)
                Environment.SetEnvironmentVariable(name, value);

            Launcher? launcher = Launcher.Find();

            Assert.AreEqual(ranks, launcher?.Ranks);
            Assert.AreEqual(variables.Contains("OMPI", StringComparison.Ordinal), launcher?.IsOpenMpi ?? false);
        }
        finally
        {
            foreach ((string name, _) in pairs)
                Environment.SetEnvironmentVariable(name, null);
        }
    }
}
