namespace Tools;

/// <summary>Restores and builds, with one line a step on the console.</summary>
public static class Build
{
    /// <summary>The configuration that everything is built, tested and run in.</summary>
    public const string Configuration = "Release";

    /// <summary>The projects that were built, or null after an error, which has been shown.</summary>
    public static IReadOnlyList<Project>? Run(IReadOnlyList<Project> projects) =>
        Restore.Run(projects) is { } restored && Compile(restored) ? restored : null;

    /// <summary>Builds one program with what it references, runs it on this console, and gives its exit code.</summary>
    public static int AndRun(string name, IEnumerable<string> arguments) => AndRun([name], arguments);

    /// <summary>
    /// The same with the first of several programs that can be restored; what is left out before it is named.
    /// </summary>
    public static int AndRun(IEnumerable<string> names, IEnumerable<string> arguments)
    {
        foreach (Project project in names.Select(Repository.Find))
        {
            if (Restore.Run(Repository.WithReferences(project)) is not { } restored)
                return 1;
            if (!restored.Contains(project))
                continue;
            return Compile(restored)
                ? DotNet.Run(
                    ["run", "--project", project.Path, "--configuration", Configuration, "--no-build", "--", .. arguments])
                : 1;
        }
        return 1;
    }

    static bool Compile(IReadOnlyList<Project> restored)
    {
        if (restored.Count == 0)
            return true;
        var step = new Step("build");
        DotNet.Result result =
            new ProjectSet(restored).Run("build", "--no-restore", "--configuration", Configuration);
        if (result.ExitCode != 0)
        {
            step.Fail(result.Output);
            return false;
        }
        step.End(Configuration);
        return true;
    }
}
