using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Mpi;

/// <summary>
/// The C library of an MPI. A handle is an address in Open MPI and a number in MPICH and in those that have its binary
/// interface; as a native integer it is handed over in the same way.
/// </summary>
sealed unsafe partial class MpiLibrary
{
    /// <summary>The variable of the environment that names the library.</summary>
    public const string Variable = "BATCHNORM_MPI_LIBRARY";

    /// <summary>Several threads make calls, but never two at the same time.</summary>
    const int Serialized = 2;

    /// <summary>
    /// The most values of one sum; a longer one is cut. MPI needs as much memory as the values, and beyond 32 MB the
    /// C library of Linux gets it from the system in each call: 40 MB took more than ten times as long in one piece.
    /// </summary>
    const int Piece = 1 << 20;

    readonly string name;
    readonly nint library, world, bytes, floats, doubles, sum, inPlace;
    readonly delegate* unmanaged<nint, int, nint, nint, int, nint, nint, int> allgather;
    readonly delegate* unmanaged<nint, nint, int, nint, nint, nint, int> allreduce;
    readonly delegate* unmanaged<nint, int, nint, int, nint, int> bcast;
    readonly delegate* unmanaged<nint, int, int> abort;

    MpiLibrary(string name, nint library)
    {
        (this.name, this.library) = (name, library);
        if (NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out world))
        {
            Description = $"{name} (Open MPI)";
            bytes = NativeLibrary.GetExport(library, "ompi_mpi_byte");
            floats = NativeLibrary.GetExport(library, "ompi_mpi_float");
            doubles = NativeLibrary.GetExport(library, "ompi_mpi_double");
            sum = NativeLibrary.GetExport(library, "ompi_mpi_op_sum");
            inPlace = 1;
        }
        else
        {
            Description = $"{name} (MPICH or its like)";
            world = 0x44000000;
            bytes = 0x4c00010d;
            floats = 0x4c00040a;
            doubles = 0x4c00080b;
            sum = 0x58000003;
            inPlace = -1;
        }
        allgather = (delegate* unmanaged<nint, int, nint, nint, int, nint, nint, int>)Function("MPI_Allgather");
        allreduce = (delegate* unmanaged<nint, nint, int, nint, nint, nint, int>)Function("MPI_Allreduce");
        bcast = (delegate* unmanaged<nint, int, nint, int, nint, int>)Function("MPI_Bcast");
        abort = (delegate* unmanaged<nint, int, int>)Function("MPI_Abort");
    }

    /// <summary>The library's name and what it belongs to.</summary>
    public string Description { get; }

    /// <summary>Whether the environment names a library.</summary>
    public static bool IsNamed => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(Variable));

    /// <summary>Loads the library that the environment names, or else the launcher's, or else any.</summary>
    /// <exception cref="DllNotFoundException">There is none.</exception>
    /// <exception cref="EntryPointNotFoundException">It is no MPI.</exception>
    public static MpiLibrary Load(Launcher? launcher)
    {
        // UCX, which MPICH may bring, would take SIGSEGV, which is how .NET finds null references: the first one would
        // end the process. It reads C's environment, which is not .NET's.
        if (!OperatingSystem.IsWindows())
            SetEnvironment("UCX_ERROR_SIGNALS", "", overwrite: 0);
        string[] names = IsNamed ? [Environment.GetEnvironmentVariable(Variable)!] : Names(launcher);
        foreach (string name in names)
        {
            if (NativeLibrary.TryLoad(name, out nint library))
                return new MpiLibrary(name, library);
        }
        throw new DllNotFoundException(
            (launcher is null ? "" : $"{launcher.Name} has started this process ({launcher.Variable}), but ")
            + $"no library of MPI was found: {string.Join(", ", names)}. Install the MPI of the launcher, or name its "
            + $"library in {Variable}.");
    }

    static string[] Names(Launcher? launcher)
    {
        if (OperatingSystem.IsWindows())
            return ["msmpi.dll"];
        string[] open, others;
        string any;
        if (OperatingSystem.IsMacOS())
            (open, others, any) = (["libmpi.40.dylib"], ["libmpi.12.dylib", "libmpich.12.dylib"], "libmpi.dylib");
        else
            (open, others, any) = (["libmpi.so.40"], ["libmpi.so.12", "libmpich.so.12"], "libmpi.so");
        return launcher is { IsOpenMpi: false } ? [.. others, .. open, any] : [.. open, .. others, any];
    }

    /// <summary>Starts MPI. Once in a process.</summary>
    /// <returns>The number of this rank, and how many there are.</returns>
    public (int Rank, int Size) Init(string[] arguments)
    {
        // MPI may keep them, so they are never freed.
        nint* values = (nint*)NativeMemory.Alloc((nuint)(arguments.Length + 2), (nuint)sizeof(nint));
        values[0] = Marshal.StringToCoTaskMemUTF8(Environment.ProcessPath ?? "");
        for (int i = 0; i < arguments.Length; i++)
            values[i + 1] = Marshal.StringToCoTaskMemUTF8(arguments[i]);
        values[arguments.Length + 1] = 0;
        int count = arguments.Length + 1, level, rank, size;
        ((delegate* unmanaged<int*, nint**, int, int*, int>)Function("MPI_Init_thread"))(
            &count, &values, Serialized, &level);
        ((delegate* unmanaged<nint, int*, int>)Function("MPI_Comm_rank"))(world, &rank);
        ((delegate* unmanaged<nint, int*, int>)Function("MPI_Comm_size"))(world, &size);
        return (rank, size);
    }

    // An error in a call ends the job with MPI's message: that is MPI's default, so the results need no look.

    public void Gather(ReadOnlySpan<byte> mine, Span<byte> all)
    {
        fixed (byte* from = mine, to = all)
            allgather((nint)from, mine.Length, bytes, (nint)to, mine.Length, bytes, world);
    }

    public void Sum(Span<float> values)
    {
        fixed (float* both = values)
            SumInPieces((nint)both, values.Length, sizeof(float), floats);
    }

    public void Sum(Span<double> values)
    {
        fixed (double* both = values)
            SumInPieces((nint)both, values.Length, sizeof(double), doubles);
    }

    void SumInPieces(nint values, int count, int size, nint type)
    {
        for (long first = 0; first < count; first += Piece)
            allreduce(inPlace, values + (nint)(first * size), (int)Math.Min(Piece, count - first), type, sum, world);
    }

    public void Broadcast(Span<byte> values, int root)
    {
        fixed (byte* both = values)
            bcast((nint)both, values.Length, bytes, root, world);
    }

    /// <summary>Ends all ranks.</summary>
    public void Abort(int exitCode) => abort(world, exitCode);

    /// <summary>Ends MPI when all ranks are here.</summary>
    public void End() => ((delegate* unmanaged<int>)Function("MPI_Finalize"))();

    nint Function(string function) => NativeLibrary.TryGetExport(library, function, out nint address)
        ? address
        : throw new EntryPointNotFoundException($"{name} is no library of MPI: it has no {function}.");

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);
}
