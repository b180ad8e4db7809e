using System.Xml.Linq;

namespace Tools;

/// <summary>Projects that are restored and built in one go, through a solution file written for them.</summary>
sealed class ProjectSet(IReadOnlyList<Project> projects)
{
    // One file a program, so that two may run at once.
    readonly string solution = Path.Combine(Repository.Root, "artifacts", $"{Repository.Program}.slnx");

    /// <summary>Runs <c>dotnet VERB</c> on all of them.</summary>
    public DotNet.Result Run(string verb, params IEnumerable<string> arguments)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(solution)!);
        new XElement(
            "Solution", projects.Select(project => new XElement("Project", new XAttribute("Path", project.Path))))
            .Save(solution);
        return DotNet.Capture(
            [verb, solution, "-tl:off", "-verbosity:quiet", "-consoleLoggerParameters:NoSummary", .. arguments]);
    }
}
