using System.ComponentModel;
using System.Diagnostics;

namespace Microsoft.ML.BatchNorm.Mpi.Tests;

/// <summary>
/// Two network namespaces with a cable between them, and names of their own: two hosts, for MPI. Without the right
/// to make them, the test is inconclusive.
/// </summary>
sealed class TwoHosts : IDisposable
{
    readonly string first = $"mpi-first-{Environment.ProcessId}", second = $"mpi-second-{Environment.ProcessId}";

    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("mpi-hosts-");

    public TwoHosts()
    {
        try
        {
            Ip("netns", "add", first);
            Ip("netns", "add", second);
            Ip("link", "add", "cable", "netns", first, "type", "veth", "peer", "name", "cable", "netns", second);
            foreach ((string host, string address) in (ReadOnlySpan<(string, string)>)[(first, "1"), (second, "2")])
            {
                Ip("-n", host, "address", "add", $"10.77.0.{address}/24", "dev", "cable");
                Ip("-n", host, "link", "set", "cable", "up");
                Ip("-n", host, "link", "set", "lo", "up");
            }
        }
        catch (Exception error) when (error is Win32Exception or InvalidOperationException)
        {
            Dispose();
            Assert.Inconclusive($"Network namespaces cannot be made here: {error.Message}");
        }
    }

    /// <summary>Ranks on both hosts.</summary>
    public Launch OpenMpi(int ranksPerHost)
    {
        // MPI calls this as it would call ssh: with a host, and what to do there.
        string agent = Path.Combine(folder.FullName, "agent");
        File.WriteAllText(
            agent, $"shift\nexec ip netns exec {second} unshare --uts sh -c \"hostname second && $*\"\n");
        return new Launch(
        [
            "ip", "netns", "exec", first, "unshare", "--uts", "sh", "-c", "hostname first && exec \"$@\"", "sh",
            .. Launch.OpenMpi(
                2 * ranksPerHost, "--mca", "plm_rsh_agent", $"sh {agent}", "--mca", "btl", "tcp,self", "--host",
                $"10.77.0.1:{ranksPerHost},10.77.0.2:{ranksPerHost}").Command,
        ]);
    }

    public void Dispose()
    {
        foreach (string host in (ReadOnlySpan<string>)[first, second])
        {
            try
            {
                Ip("netns", "delete", host);
            }
            catch (Exception error) when (error is Win32Exception or InvalidOperationException)
            {
                // It was not made.
            }
        }
        folder.Delete(recursive: true);
    }

    static void Ip(params string[] arguments)
    {
        using Process process = Process.Start(
            new ProcessStartInfo("ip", arguments) { RedirectStandardError = true })!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"ip {string.Join(' ', arguments)}: {errors}");
    }
}
