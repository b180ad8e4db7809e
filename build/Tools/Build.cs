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

    /// <summary>
    /// Builds programs with what they reference, runs those that could be restored, one after another, on this console,
    /// and gives the first exit code that is not 0. The first program must be there.
    /// </summary>
    public static int AndRun(IReadOnlyList<string> names, IEnumerable<string> arguments)
    {
        Project[] programs = [.. names.Select(Repository.Find)];
        Project[] all = [.. programs.SelectMany(Repository.WithReferences).Distinct()];
        if (Run(all) is not { } built || !built.Contains(programs[0]))
            return 1;
        return programs.Where(built.Contains).Select(program => Run(program, arguments)).FirstOrDefault(code => code != 0);
    }

    /// <summary>Builds one program with what it references, runs it on this console, and gives its exit code.</summary>
    public static int AndRun(string name, IEnumerable<string> arguments) => AndRun([name], arguments);

    static int Run(Project program, IEnumerable<string> arguments) =>
        DotNet.Run(
            ["run", "--project", program.Path, "--configuration", Configuration, "--no-build", "--", .. arguments]);
}
