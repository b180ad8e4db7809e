using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Tests.Statistics;

/// <summary>The Python of docs/distributed.md on two workers of Dask; inconclusive where Dask is not installed.</summary>
[TestClass]
public class DaskTests
{
    const int Rows = 100_000, Channels = 8, Shards = 16;

    const string Driver = """

        import sys
        import numpy as np

        if __name__ == "__main__":
            from dask.distributed import Client, LocalCluster
            single = np.array([[1e6], [1e6 + 1 / 16], [1e6 + 1 / 16]], dtype=np.float32)
            assert record(0, single) == record(0, single.astype(np.float64)), record(0, single)
            shards = np.array_split(np.fromfile(sys.argv[1]).reshape(-1, int(sys.argv[2])), int(sys.argv[3]))
            with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
                with Client(cluster) as client:
                    client.wait_for_workers(2)
                    for line in client.gather(client.map(record, range(len(shards)), shards)):
                        print(line)
        """;

    static readonly string Code = MarkdownDocument.Blocks("docs/distributed.md")
        .First(block => block.Language == "python").Code;

    [TestMethod]
    [Timeout(300_000)]
    public void Records_that_two_workers_of_Dask_compute_merge_to_the_exact_statistics()
    {
        string python = PythonWith("dask.distributed, numpy");
        double[] x = Sample.Doubles(Rows * Channels, 1, 1e6, 1e-2);
        ExactMoments exact = ExactMoments.Of(x, Channels, 1_000_000, 33);
        DirectoryInfo folder = Directory.CreateTempSubdirectory();
        try
        {
            string script = Path.Combine(folder.FullName, "run.py"), values = Path.Combine(folder.FullName, "x.f64");
            File.WriteAllText(script, Code + "\n" + Driver);
            File.WriteAllBytes(values, MemoryMarshal.AsBytes<double>(x).ToArray());
            (int exit, string output) = Run(folder, python, script, values, $"{Channels}", $"{Shards}");
            Assert.AreEqual(0, exit, output);

            PartialStatistics[] parts =
                [.. PartialStatistics.LoadLines(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(output)))];

            Assert.HasCount(Shards, parts);
            exact.AssertClose(1e-14, PartialStatistics.Merge(parts), "merged");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>A Python that has the modules; without one, the test is inconclusive.</summary>
    static string PythonWith(string modules)
    {
        foreach (string python in (string[])["python3", "/usr/bin/python3", "python"])
        {
            try
            {
                if (Run(null, python, "-c", $"import {modules}").Exit == 0)
                    return python;
            }
            catch (System.ComponentModel.Win32Exception)
            {
                // There is no such program.
            }
        }
        throw new AssertInconclusiveException($"No Python has {modules}; on Debian, install python3-distributed.");
    }

    static (int Exit, string Output) Run(DirectoryInfo? folder, string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder?.FullName ?? Path.GetTempPath(),
        })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, process.ExitCode == 0 ? output : errors.Result);
    }
}
