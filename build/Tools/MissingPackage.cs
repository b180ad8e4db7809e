using System.Text.RegularExpressions;

namespace Tools;

/// <summary>A package that a project asks for and no package source has.</summary>
/// <param name="Project">The project file's full path.</param>
/// <param name="Package">The package's id.</param>
/// <param name="Version">The version asked for, where it is known.</param>
sealed partial record MissingPackage(string Project, string Package, string? Version)
{
    /// <summary>
    /// The missing packages that a failed restore reports, or none where it reports any other error too.
    /// </summary>
    public static IReadOnlyList<MissingPackage> ReadAll(string output)
    {
        string[] errors = [.. output.Split('\n').Where(line => line.Contains(": error", StringComparison.Ordinal))];
        if (!errors.All(line => NotFound().IsMatch(line)))
            return [];
        return
        [
            .. errors.Select(line => FirstLine().Match(line)).Where(match => match.Success).Select(Read).Distinct(),
        ];
    }

    public override string ToString() => Version is null ? Package : $"{Package} {Version}";

    static MissingPackage Read(Match match)
    {
        string package = match.Groups["package"].Value;
        string? version = match.Groups["version"] is { Success: true } group
            ? group.Value
            : Repository.PackageVersion(package);
        return new(match.Groups["project"].Value, package, version);
    }

    /// <summary>No such id, no such version, only versions before a release.</summary>
    [GeneratedRegex(@": error NU110[123]:")]
    private static partial Regex NotFound();

    [GeneratedRegex(
        @"^\s*(?<project>.+?) : error NU110[123]: Unable to find (a stable )?package (?<package>[\w.-]*\w)" +
        @"( with version \(>= (?<version>[^,)\s]+))?")]
    private static partial Regex FirstLine();
}
