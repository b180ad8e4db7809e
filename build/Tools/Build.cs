namespace Tools;

/// <summary>Restores and builds, with one line a step on the console.</summary>
public static class Build
{
    /// <summary>The configuration that everything is built, tested and run in.</summary>
    public const string Configuration = "Release";

    /// <summary>The projects that were built, or null after an error, which has been shown.</summary>
    public static IReadOnlyList<Project>? Run(IReadOnlyList<Project> projects)
    {
        if (Restore.Run(projects) is not { } restored)
            return null;
        if (restored.Count == 0)
            return restored;
        var step = new Step("build");
        DotNet.Result result =
            new ProjectSet(restored).Run("build", "--no-restore", "--configuration", Configuration);
        if (result.ExitCode != 0)
        {
            step.Fail(result.Output);
            return null;
        }
        step.End(Configuration);
        return restored;
    }

    /// <summary>Builds one program with what it references, runs it on this console, and gives its exit code.</summary>
    public static int AndRun(string name, IEnumerable<string> arguments)
    {
        Project project = Repository.Find(name);
        if (Run(Repository.WithReferences(project)) is not { } built || !built.Contains(project))
            return 1;
        return DotNet.Run(
            ["run", "--project", project.Path, "--configuration", Configuration, "--no-build", "--", .. arguments]);
    }
}
