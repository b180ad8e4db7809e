namespace Tools;

/// <summary>Runs the tests of one built project.</summary>
public static class TestRun
{
    /// <summary>
    /// Runs them and shows the failed ones, and why others were skipped. A test process that does not end normally counts
    /// as one failure beside those it reported.
    /// </summary>
    /// <param name="project">The project.</param>
    /// <param name="arguments">What <c>dotnet test</c> gets beside the project.</param>
    public static TestCounts Run(Project project, IEnumerable<string> arguments)
    {
        var step = new Step($"test {project}");
        DirectoryInfo results = Directory.CreateTempSubdirectory("tests-");
        try
        {
            DotNet.Result result = DotNet.Capture(
            [
                "test", project.Path, "--no-build", "--configuration", Build.Configuration,
                "--logger", "trx;LogFileName=results.trx", "--results-directory", results.FullName, .. arguments,
            ]);
            var report = new TestReport(Path.Combine(results.FullName, "results.trx"));
            TestCounts counts = report.Counts;
            bool crashed = result.ExitCode != 0 && counts.Failed == 0 || report.HasErrors;
            if (crashed)
                counts += new TestCounts(0, 1, 0);
            step.End(counts.ToString());
            foreach (string line in report.Skips.Concat(report.Failures))
                Console.WriteLine(line);
            if (crashed)
                Console.WriteLine($"failed: the test process of {project} did not end normally\n{result.Output}");
            return counts;
        }
        finally
        {
            results.Delete(recursive: true);
        }
    }
}
