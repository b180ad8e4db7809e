using System.Diagnostics;
using System.Threading.Channels;

namespace Samples.Tests;

/// <summary>The sample in a process of its own on a free port, which ends when this is disposed.</summary>
sealed class ServerProcess : IDisposable
{
    readonly Channel<string> lines = Channel.CreateUnbounded<string>();
    readonly Process process;

    ServerProcess(string model)
    {
        string[] arguments =
            ["exec", Path.Combine(AppContext.BaseDirectory, "Serving.dll"), "--port", "0", "--model", model];
        process = new Process
        {
            StartInfo = new(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", arguments)
            {
                RedirectStandardOutput = true,
            },
        };
        process.OutputDataReceived += (_, line) =>
        {
            if (line.Data is null)
                lines.Writer.Complete();
            else
                lines.Writer.TryWrite(line.Data);
        };
        process.Start();
        process.BeginOutputReadLine();
    }

    public Uri Address { get; private set; } = new("http://127.0.0.1");

    /// <summary>Starts it, and comes back when it listens and has said how to call it.</summary>
    public static async Task<ServerProcess> Start(string model, CancellationToken stop)
    {
        var server = new ServerProcess(model);
        try
        {
            string call = await server.WaitForLine(line => line.StartsWith("curl ", StringComparison.Ordinal), stop);
            server.Address = new Uri(new Uri(call[(call.LastIndexOf(' ') + 1)..]), "/");
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    /// <summary>The next line of its log that is the one waited for; those before it are gone.</summary>
    public async Task<string> WaitForLine(Func<string, bool> isIt, CancellationToken stop)
    {
        var seen = new List<string>();
        await foreach (string line in lines.Reader.ReadAllAsync(stop))
        {
            if (isIt(line))
                return line;
            seen.Add(line);
        }
        throw new InvalidOperationException($"The server has ended:\n{string.Join('\n', seen)}");
    }

    public void Dispose()
    {
        process.Kill();
        process.WaitForExit();
        process.Dispose();
    }
}
