namespace Microsoft.ML.BatchNorm.Mpi.Tests;

/// <summary>
/// When a rank fails, all end: <see cref="MpiJob"/> waits for each process, and not for long. Nothing is half-written.
/// </summary>
[TestClass]
public class FailureTests
{
    static readonly RankLesson lesson = RankLesson.All["dense"];

    [TestMethod]
    [DataRow("throw", 1, "Rank 1 of 3 failed: System.IO.InvalidDataException: row 7 is torn")]
    [DataRow("exit 0", 1, "Rank 1 of 3 has ended its process within the program.")]
    [DataRow("exit 5", 5, "Rank 1 of 3 has ended its process within the program.")]
    [DataRow("abort", 1, "Rank 1 of 3 ended the job: it was told to")]
    [DataRow("crash", null, "a thread of its own")]
    public void On_Open_MPI_the_job_ends_with_one_rank_s_message_and_exit_code(string way, int? code, string message) =>
        Check(Launch.OpenMpi(3), way, code, message);

    [TestMethod]
    [DataRow("throw", 1, "Rank 1 of 2 failed: System.IO.InvalidDataException: row 7 is torn")]
    [DataRow("exit 0", 1, "Rank 1 of 2 has ended its process within the program.")]
    [DataRow("kill", null, "")]
    public void On_MPICH_the_job_ends_with_one_rank_s_message_and_exit_code(string way, int? code, string message) =>
        Check(Launch.Mpich(2), way, code, message);

    [TestMethod]
    public void When_one_of_four_ranks_was_killed_two_go_on_from_the_checkpoint_to_the_result_of_one_process()
    {
        using MpiJob job = Check(Launch.OpenMpi(4), "kill", null, "");

        Assert.AreEqual(0, job.Run(Launch.OpenMpi(2), "resume"), job.Output);

        byte[] network = File.ReadAllBytes(job.PathOf("0.network"));
        CollectionAssert.AreEqual(network, File.ReadAllBytes(job.PathOf("1.network")));
        RankTests.AssertNear(lesson.Train(null).State, Network.Load(new MemoryStream(network)).State, 1e-6);
    }

    [TestMethod]
    public void The_launcher_of_another_MPI_is_an_error_before_the_program_begins()
    {
        (Launch open, Launch mpich) = (Launch.OpenMpi(2), Launch.Mpich(2));
        foreach ((Launch launch, string library, string variable) in (ReadOnlySpan<(Launch, string, string)>)
            [(open, "libmpich.so.12", "OMPI_COMM_WORLD_SIZE"), (mpich, "libmpi.so.40", "PMI_SIZE")])
        {
            using var job = new MpiJob();

            int code = job.Execute(
                [.. launch.Command, .. MpiJob.Program("hello", job.PathOf(""))], ("BATCHNORM_MPI_LIBRARY", library));

            Assert.AreNotEqual(0, code);
            StringAssert.Contains(
                job.Output, $"has started 2 processes or more ({variable}), but the library {library} (");
            Assert.IsEmpty(job.Machines());
        }
    }

    [TestMethod]
    public void After_the_program_there_are_no_calls_and_no_second_run()
    {
        using var job = new MpiJob();
        Assert.AreEqual(0, job.Run(Launch.OpenMpi(2), "hello"), job.Output);
    }

    [TestMethod]
    [DataRow("libnone.so", "System.DllNotFoundException: Open MPI's mpirun has started this process "
        + "(OMPI_COMM_WORLD_SIZE), but no library of MPI was found: libnone.so.")]
    [DataRow("libc.so.6", "EntryPointNotFoundException: libc.so.6 is no library of MPI: it has no MPI_Allgather.")]
    public void A_library_that_is_missing_or_is_no_MPI_is_an_error_that_names_it(string library, string message)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Inconclusive("The names are those of Linux.");
        using var job = new MpiJob();

        int code = job.Execute(
            MpiJob.Program("hello", job.PathOf("")), ("BATCHNORM_MPI_LIBRARY", library), ("OMPI_COMM_WORLD_SIZE", "2"));

        Assert.AreNotEqual(0, code);
        StringAssert.Contains(job.Output, message);
    }

    /// <summary>The job fails before its training, or in the fourth epoch with the checkpoint of the third.</summary>
    static MpiJob Check(Launch launch, string way, int? code, string message)
    {
        var job = new MpiJob();

        int actual = job.Run(launch, "fail", way);

        Assert.AreNotEqual(0, actual);
        if (code is not null)
            Assert.AreEqual(code, actual, job.Output);
        StringAssert.Contains(job.Output, message);
        if (way == "throw")
        {
            Assert.IsFalse(File.Exists(job.PathOf("run.checkpoint")));
            return job;
        }
        using FileStream file = File.OpenRead(job.PathOf("run.checkpoint"));
        Assert.AreEqual(3, TrainingCheckpoint.Load(file).History.Length);
        return job;
    }
}
