namespace Tools;

/// <summary>
/// Restores projects, and leaves out those with a package that no source has: that is a fact of some machines.
/// A restore that fails for any other reason is an error.
/// </summary>
static class Restore
{
    /// <summary>The projects that could be restored, or null after an error, which has been shown.</summary>
    public static IReadOnlyList<Project>? Run(IReadOnlyList<Project> projects)
    {
        var step = new Step("restore");
        var notes = new List<string>();
        DotNet.Result result;
        while ((result = Attempt(projects)).ExitCode != 0)
        {
            if (MissingPackage.ReadAll(result.Output) is not { Count: > 0 } missing)
            {
                step.Fail(result.Output);
                return null;
            }
            Dictionary<Project, string> reasons = Reasons(projects, missing);
            notes.AddRange(reasons.Select(reason => $"left out: {reason.Key} ({reason.Value})"));
            projects = [.. projects.Where(project => !reasons.ContainsKey(project))];
        }
        step.End(projects.Count == 1 ? "1 project" : $"{projects.Count} projects");
        notes.ForEach(Console.WriteLine);
        return projects;
    }

    static DotNet.Result Attempt(IReadOnlyList<Project> projects) =>
        projects.Count == 0 ? new DotNet.Result(0, "") : new ProjectSet(projects).Run("restore");

    /// <summary>
    /// Why each project is left out. A missing package is named at the projects that ask for it first, not at those
    /// that inherit it by referencing them.
    /// </summary>
    static Dictionary<Project, string> Reasons(
        IReadOnlyList<Project> projects, IReadOnlyList<MissingPackage> missing)
    {
        var reasons = new Dictionary<Project, string>();
        bool Lacks(string path) =>
            missing.Any(m => Project.SamePath(m.Project, path)) || reasons.Keys.Any(p => Project.SamePath(p.Path, path));

        int before;
        do
        {
            before = reasons.Count;
            foreach (Project project in projects.Where(project => !reasons.ContainsKey(project)))
            {
                if (project.References.FirstOrDefault(Lacks) is { } reference)
                    reasons[project] = $"it references {Path.GetFileNameWithoutExtension(reference)}";
                else if (missing.FirstOrDefault(m => Project.SamePath(m.Project, project.Path)) is { } package)
                    reasons[project] = $"{package} cannot be restored";
            }
        }
        while (reasons.Count > before);
        return reasons;
    }
}
