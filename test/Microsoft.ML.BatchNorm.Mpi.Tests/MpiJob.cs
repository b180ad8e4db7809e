using System.ComponentModel;
using System.Diagnostics;

namespace Microsoft.ML.BatchNorm.Mpi.Tests;

/// <summary>Jobs of several processes on one folder, which is deleted at the end.</summary>
sealed class MpiJob : IDisposable
{
    /// <summary>Far beyond what any job takes, also where other work runs beside it.</summary>
    static readonly TimeSpan limit = TimeSpan.FromSeconds(120);

    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("mpi-");

    /// <summary>What the last job has written to its outputs.</summary>
    public string Output { get; private set; } = "";

    public string PathOf(string file) => Path.Combine(folder.FullName, file);

    /// <summary>The program of the tests, to be run by a launcher or alone.</summary>
    /// <param name="arguments">What it does, the folder, and more.</param>
    public static string[] Program(params IEnumerable<string> arguments) =>
        DotNet(Path.Combine(AppContext.BaseDirectory, "FreshProcess.Mpi.dll"), arguments);

    public static string[] DotNet(string program, params IEnumerable<string> arguments) =>
        [Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", "exec", program, .. arguments];

    /// <summary>Runs the program of the tests on the folder.</summary>
    public int Run(Launch launch, string work, params IEnumerable<string> more) =>
        Execute([.. launch.Command, .. Program([work, folder.FullName, .. more])]);

    /// <summary>Runs a command, and returns its exit code.</summary>
    public int Execute(string[] command, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // Open MPI gives its processes a terminal; .NET need not ask what it can do.
        start.Environment["TERM"] = "dumb";
        foreach ((string name, string value) in environment)
            start.Environment[name] = value;
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        bool isOver = process.WaitForExit(limit);
        if (!isOver)
            process.Kill(entireProcessTree: true);
        Output = output.Result + errors.Result;
        Assert.IsTrue(isOver, $"After {limit.TotalSeconds} s the job has not ended. It has written:\n{Output}");
        AssertNoProcessIsLeft();
        return process.ExitCode;
    }

    /// <summary>The machine of each rank of the last job.</summary>
    public string[] Machines() =>
        [.. Directory.GetFiles(folder.FullName, "*.pid").Select(file => File.ReadAllText(file).Split(' ')[1])];

    public void Dispose() => folder.Delete(recursive: true);

    /// <summary>A launcher may return some moments before the processes that it ends are gone.</summary>
    void AssertNoProcessIsLeft()
    {
        foreach (string file in Directory.GetFiles(folder.FullName, "*.pid"))
        {
            try
            {
                using var process = Process.GetProcessById(int.Parse(File.ReadAllText(file).Split(' ')[0]));
                Assert.IsTrue(
                    process.WaitForExit(TimeSpan.FromSeconds(20)), $"{Path.GetFileName(file)} is left:\n{Output}");
            }
            catch (ArgumentException)
            {
                // There is no such process.
            }
        }
    }
}

/// <summary>How several processes are started.</summary>
/// <param name="Command">The command, before the program.</param>
sealed record Launch(string[] Command)
{
    static readonly Lazy<string?>
        openMpi = new(() => Find("open-mpi", "mpirun.openmpi", "mpirun")),
        mpich = new(() => Find("HYDRA", "mpirun.mpich", "mpirun"));

    /// <summary>By Open MPI; without it, the test is inconclusive.</summary>
    public static Launch OpenMpi(int ranks, params IEnumerable<string> more) => new(
    [
        openMpi.Value ?? throw Missing("Open MPI", "openmpi-bin"), "--allow-run-as-root", "--oversubscribe", "--mca",
        "mpi_yield_when_idle", "1", .. more, "-n", $"{ranks}",
    ]);

    /// <summary>By MPICH; without it, the test is inconclusive.</summary>
    public static Launch Mpich(int ranks) => new([mpich.Value ?? throw Missing("MPICH", "mpich"), "-n", $"{ranks}"]);

    static string? Find(string maker, params string[] names) => Array.Find(names, name =>
    {
        try
        {
            using Process process = Process.Start(
                new ProcessStartInfo(name, ["--version"]) { RedirectStandardOutput = true })!;
            return process.StandardOutput.ReadToEnd().Contains(maker, StringComparison.Ordinal);
        }
        catch (Win32Exception)
        {
            return false;
        }
    });

    static AssertInconclusiveException Missing(string name, string package) =>
        new($"No mpirun of {name} is installed; on Debian, install {package}.");
}
