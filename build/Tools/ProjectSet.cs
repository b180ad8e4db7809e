namespace Tools;

/// <summary>Projects that are restored and built in one go, through a solution file written for them.</summary>
sealed class ProjectSet(IReadOnlyList<Project> projects)
{
    readonly string solution = Path.Combine(Repository.Root, "artifacts", "build.slnx");

    /// <summary>Runs <c>dotnet VERB</c> on all of them.</summary>
    public DotNet.Result Run(string verb, params IEnumerable<string> arguments)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(solution)!);
        IEnumerable<string> lines = projects.Select(project => $"""  <Project Path="{project.Path}" />""");
        File.WriteAllLines(solution, ["<Solution>", .. lines, "</Solution>"]);
        return DotNet.Capture([verb, solution, "-tl:off", "-verbosity:quiet", "-consoleLoggerParameters:NoSummary", .. arguments]);
    }
}
