namespace Tools;

/// <summary>
/// Restores projects, and leaves out those with a package that no source has: that is a fact of some machines. Of a
/// package that a project can do without, the reference alone is left out.
/// A restore that fails for any other reason is an error.
/// </summary>
static class Restore
{
    /// <summary>The projects that could be restored, or null after an error, which has been shown.</summary>
    public static IReadOnlyList<Project>? Run(IReadOnlyList<Project> projects)
    {
        var step = new Step("restore");
        var notes = new List<string>();
        IReadOnlyList<OptionalPackage> wanted = OptionalPackage.In(projects);
        foreach (OptionalPackage package in wanted)
            package.Want(true);
        DotNet.Result result;
        while ((result = Attempt(projects)).ExitCode != 0)
        {
            if (MissingPackage.ReadAll(result.Output) is not { Count: > 0 } missing)
            {
                step.Fail(result.Output);
                return null;
            }
            if (missing.FirstOrDefault(package => wanted.Contains(new(package.Package))) is { } optional)
            {
                new OptionalPackage(optional.Package).Want(false);
                wanted = [.. wanted.Where(package => package.Id != optional.Package)];
                notes.Add($"left out: the reference to {optional.Package} ({optional} cannot be restored)");
                continue;
            }
            Dictionary<Project, string> reasons = Reasons(projects, missing);
            notes.AddRange(reasons.GroupBy(reason => reason.Value, reason => reason.Key).Select(
                group => $"left out: {string.Join(", ", group.OrderBy(project => project.Name))} ({group.Key})"));
            projects = [.. projects.Where(project => !reasons.ContainsKey(project))];
        }
        step.End(projects.Count == 1 ? "1 project" : $"{projects.Count} projects");
        notes.ForEach(Console.WriteLine);
        return projects;
    }

    static DotNet.Result Attempt(IReadOnlyList<Project> projects) =>
        projects.Count == 0 ? new DotNet.Result(0, "") : new ProjectSet(projects).Run("restore");

    /// <summary>
    /// Why each project is left out: the package that it lacks, or that the project it references lacks, which is
    /// then the one to be named.
    /// </summary>
    static Dictionary<Project, string> Reasons(
        IReadOnlyList<Project> projects, IReadOnlyList<MissingPackage> missing)
    {
        var reasons = new Dictionary<Project, string>();
        foreach (Project project in projects)
            Find(project);
        return reasons;

        string? Find(Project project)
        {
            if (reasons.TryGetValue(project, out string? known))
                return known;
            string? reason =
                projects.Where(p => project.References.Any(path => Project.SamePath(path, p.Path)))
                    .Select(Find).FirstOrDefault(found => found is not null)
                ?? missing.Where(m => Project.SamePath(m.Project, project.Path))
                    .Select(package => $"{package} cannot be restored").FirstOrDefault();
            if (reason is not null)
                reasons[project] = reason;
            return reason;
        }
    }
}
