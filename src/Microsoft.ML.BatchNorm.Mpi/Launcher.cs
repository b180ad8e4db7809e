using System.Globalization;

namespace Microsoft.ML.BatchNorm.Mpi;

/// <summary>What has started this process as one of several.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Variable">The variable of the environment that tells it.</param>
/// <param name="Ranks">How many processes it has started, at least.</param>
sealed record Launcher(string Name, string Variable, int Ranks)
{
    const string OfOpenMpi = "OMPI_COMM_WORLD_SIZE";

    /// <summary>Whether it belongs to Open MPI.</summary>
    public bool IsOpenMpi => Variable == OfOpenMpi;

    /// <summary>The launcher that the environment tells of, or null.</summary>
    public static Launcher? Find() =>
        Find("Open MPI's mpirun", OfOpenMpi)
        ?? Find("The mpirun of MPICH or of its like", "PMI_SIZE")
        // An interactive shell of Slurm is a step of one process.
        ?? (Find("Slurm's srun", "SLURM_STEP_NUM_TASKS") is { Ranks: > 1 } step ? step : null)
        // PMIx tells only the rank.
        ?? (Find("A launcher with PMIx", "PMIX_RANK") is { } rank ? rank with { Ranks = rank.Ranks + 1 } : null);

    static Launcher? Find(string name, string variable)
    {
        string? value = Environment.GetEnvironmentVariable(variable);
        return int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? new Launcher(name, variable, number)
            : null;
    }
}
