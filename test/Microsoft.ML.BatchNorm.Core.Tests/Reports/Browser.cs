using System.Diagnostics;

namespace Microsoft.ML.BatchNorm.Tests.Reports;

/// <summary>A browser without a window, where the machine has one.</summary>
static class Browser
{
    static readonly string[] names =
        ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge", "microsoft-edge"];

    /// <summary>The path of the first that is installed, or null.</summary>
    public static string? Find() =>
        names.SelectMany(name => (Environment.GetEnvironmentVariable("PATH") ?? "")
                .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
                .Select(folder => Path.Combine(folder, OperatingSystem.IsWindows() ? $"{name}.exe" : name)))
            .FirstOrDefault(File.Exists);

    /// <summary>A page's document after its scripts have run, as markup.</summary>
    public static string Run(string browser, string page, bool dark)
    {
        string folder = Directory.CreateTempSubdirectory("report-").FullName;
        try
        {
            string path = Path.Combine(folder, "page.html");
            File.WriteAllText(path, page);
            var start = new ProcessStartInfo(browser)
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                ArgumentList =
                {
                    "--headless", "--no-sandbox", "--disable-gpu", $"--user-data-dir={Path.Combine(folder, "profile")}",
                    $"--blink-settings=preferredColorScheme={(dark ? 0 : 1)}", "--window-size=1400,1000",
                    "--virtual-time-budget=5000", "--dump-dom", new Uri(path).AbsoluteUri,
                },
            };
            using Process process = Process.Start(start)!;
            process.ErrorDataReceived += (_, _) => { };
            process.BeginErrorReadLine();
            string markup = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return markup;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
