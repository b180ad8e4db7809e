namespace Microsoft.ML.BatchNorm.Mpi;

/// <summary>
/// Runs a program on several processes, its ranks, on one machine or on many: Open MPI, MPICH or an MPI with MPICH's
/// binary interface starts them and carries their messages.
/// </summary>
/// <remarks>
/// <para>
/// A launcher starts the processes: <c>mpirun -n 4 dotnet Train.dll</c>. Without one, the program is one rank, and no
/// library is loaded, so that it runs where no MPI is installed. Launchers are known by the variables
/// <c>OMPI_COMM_WORLD_SIZE</c>, <c>PMI_SIZE</c>, <c>SLURM_STEP_NUM_TASKS</c> and <c>PMIX_RANK</c>. The launcher's own
/// library is tried first; <c>BATCHNORM_MPI_LIBRARY</c> names another one, or its path, and has it loaded without a
/// launcher, too.
/// </para>
/// <para>
/// All ranks stop if one fails. If its program throws, the exception is written to its standard error, and the job ends
/// at once with the exit code 1: neither <c>finally</c> blocks nor other ranks go on. Ending the process within the
/// program ends the job as well, with the process's exit code, or 1 if that is 0.
/// </para>
/// <para>
/// The calls of the collective come from the thread of the program, and end with it. An asynchronous program comes back
/// to its thread behind each <c>await</c>. With MPI, a process has one run.
/// </para>
/// </remarks>
public static class Mpi
{
    /// <summary>Runs a program on each rank, and returns when those of all ranks are at their end.</summary>
    /// <param name="args">The program's arguments, in which some MPIs find settings of theirs.</param>
    /// <param name="program">What each rank does; hand the collective to <see cref="CpuEngine"/>.</param>
    /// <returns>The result of this rank.</returns>
    /// <exception cref="DllNotFoundException">A launcher has started the process, and there is no MPI.</exception>
    /// <exception cref="InvalidOperationException">
    /// The library is not the launcher's and knows of fewer ranks, so that each would work alone. Or MPI was started
    /// before.
    /// </exception>
    public static T Run<T>(string[] args, Func<ICollective, T> program)
    {
        ArgumentNullException.ThrowIfNull(args);
        ArgumentNullException.ThrowIfNull(program);
        Launcher? launcher = Launcher.Find();
        if (launcher is null && !MpiLibrary.IsNamed)
            return ThreadCollective.Run(1, program)[0];
        MpiCollective ranks = MpiCollective.Start(args, launcher);
        T result;
        try
        {
            result = program(ranks);
        }
        catch (Exception error) when (EndsJob(ranks, error))
        {
            throw;
        }
        ranks.End();
        return result;
    }

    /// <inheritdoc cref="Run{T}(string[], Func{ICollective, T})"/>
    public static void Run(string[] args, Action<ICollective> program)
    {
        ArgumentNullException.ThrowIfNull(program);
        Run(args, ranks =>
        {
            program(ranks);
            return 0;
        });
    }

    /// <inheritdoc cref="Run{T}(string[], Func{ICollective, T})"/>
    public static T Run<T>(string[] args, Func<ICollective, Task<T>> program)
    {
        ArgumentNullException.ThrowIfNull(program);
        return Run<T>(args, ranks => OneThread.Run(() => program(ranks)));
    }

    /// <inheritdoc cref="Run{T}(string[], Func{ICollective, T})"/>
    public static void Run(string[] args, Func<ICollective, Task> program)
    {
        ArgumentNullException.ThrowIfNull(program);
        Run<int>(args, ranks => OneThread.Run(async () =>
        {
            await program(ranks);
            return 0;
        }));
    }

    /// <summary>
    /// Ends the job. As the filter of an exception it does so before any <c>finally</c> of the program, which might
    /// wait for ranks that wait for this one.
    /// </summary>
    static bool EndsJob(MpiCollective ranks, Exception error)
    {
        ranks.End($"failed: {error}", exitCode: 1);
        return false;
    }
}
