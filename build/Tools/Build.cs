namespace Tools;

/// <summary>Restores and builds, with one line a step on the console.</summary>
public static class Build
{
    /// <summary>The configuration that everything is built, tested and run in.</summary>
    public const string Configuration = "Release";

    /// <summary>The projects that were built, or null after an error, which has been shown.</summary>
    public static IReadOnlyList<Project>? Run(IReadOnlyList<Project> projects) =>
        Restore.Run(projects) is { } restored && Compile(restored) ? restored : null;

    /// <summary>
    /// Builds the first of several programs that can be restored, with what it references, runs it on this console, and
    /// gives its exit code; what is left out before it is named.
    /// </summary>
    public static int AndRunFirst(IEnumerable<string> names, IEnumerable<string> arguments)
    {
        foreach (Project program in names.Select(Repository.Find))
        {
            if (Restore.Run(Repository.WithReferences(program)) is not { } restored)
                return 1;
            if (restored.Contains(program))
                return Compile(restored) ? Execute(program, arguments) : 1;
        }
        return 1;
    }

    /// <summary>
    /// Builds programs with what they reference, runs those that could be restored, one after another, on this console,
    /// and gives the first exit code that is not 0. The first program must be there.
    /// </summary>
    public static int AndRunEach(IReadOnlyList<string> names, IEnumerable<string> arguments)
    {
        Project[] programs = [.. names.Select(Repository.Find)];
        Project[] all = [.. programs.SelectMany(Repository.WithReferences).Distinct()];
        if (Run(all) is not { } built || !built.Contains(programs[0]))
            return 1;
        return programs.Where(built.Contains).Select(program => Execute(program, arguments))
            .FirstOrDefault(code => code != 0);
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

    /// <summary>Runs a built program on this console, and gives its exit code.</summary>
    internal static int Execute(Project program, IEnumerable<string> arguments) =>
        DotNet.Run(
            ["run", "--project", program.Path, "--configuration", Configuration, "--no-build", "--", .. arguments]);
}
