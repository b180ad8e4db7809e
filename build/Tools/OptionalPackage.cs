namespace Tools;

/// <summary>
/// A package that a project can do without: its reference stands under the condition that a property is true, which is
/// set here and not in a plain build. <c>TorchSharp-cpu</c> goes with <c>WithTorchSharpcpu</c>.
/// </summary>
/// <param name="Id">The package's id.</param>
sealed record OptionalPackage(string Id)
{
    string Property => $"With{string.Concat(Id.Where(char.IsLetterOrDigit))}";

    /// <summary>The optional packages of some projects.</summary>
    public static IReadOnlyList<OptionalPackage> In(IEnumerable<Project> projects) =>
        [.. projects.SelectMany(project => project.OptionalPackages).Distinct().Select(id => new OptionalPackage(id))];

    /// <summary>Asks for the package in every build that is started from here on, or no longer.</summary>
    // MSBuild takes environment variables for properties, and so do the processes that it starts.
    public void Want(bool isWanted) => Environment.SetEnvironmentVariable(Property, isWanted ? "true" : null);
}
