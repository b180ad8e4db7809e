using System.Diagnostics;
using System.Text;

namespace Tools;

/// <summary>Runs the .NET command line.</summary>
public static class DotNet
{
    /// <summary>The exit code of a command and all that it wrote.</summary>
    public sealed record Result(int ExitCode, string Output);

    /// <summary>Runs a command and keeps what it writes.</summary>
    public static Result Capture(params IEnumerable<string> arguments)
    {
        ProcessStartInfo start = Start(arguments);
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        start.StandardOutputEncoding = Encoding.UTF8;
        start.StandardErrorEncoding = Encoding.UTF8;
        var output = new StringBuilder();
        using var process = new Process { StartInfo = start };
        process.OutputDataReceived += Append;
        process.ErrorDataReceived += Append;
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        process.WaitForExit();
        return new Result(process.ExitCode, output.ToString().TrimEnd());

        void Append(object sender, DataReceivedEventArgs line)
        {
            lock (output)
            {
                if (line.Data is not null)
                    output.AppendLine(line.Data);
            }
        }
    }

    /// <summary>Runs a command on this program's own console, and gives its exit code.</summary>
    public static int Run(params IEnumerable<string> arguments)
    {
        using Process process = Process.Start(Start(arguments))!;
        process.WaitForExit();
        return process.ExitCode;
    }

    static ProcessStartInfo Start(IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", arguments);
        start.Environment["DOTNET_NOLOGO"] = "1";
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
        start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
        start.Environment["DOTNET_CLI_WORKLOAD_UPDATE_NOTIFY_DISABLE"] = "1";
        start.Environment["DOTNET_GENERATE_ASPNET_CERTIFICATE"] = "0";
        // A build process that stayed for the next build would hold on to this one's output.
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        return start;
    }
}
