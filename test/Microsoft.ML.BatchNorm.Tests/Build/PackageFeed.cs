using System.IO.Compression;

namespace Microsoft.ML.BatchNorm.Tests.Build;

/// <summary>
/// A folder of its own with the packages as they were built for the tests, which goes when this is disposed. Their
/// version is no other's, so that a package of the same name that the machine already has is never taken for theirs.
/// </summary>
sealed class PackageFeed : IDisposable
{
    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("packages-");

    public PackageFeed(params IEnumerable<string> libraries)
    {
        foreach (string library in libraries)
        {
            DotNetBuild.Run(
                "pack", Path.Combine("src", library, $"{library}.csproj"), "--no-build", "--output", Source,
                $"-p:Version={Version}", $"-p:NuspecOutputPath={folder.FullName}/nuspec/");
        }
    }

    public string Version { get; } = $"0.0.0-test.{Guid.NewGuid():N}";

    /// <summary>The whole folder, which has room for more.</summary>
    public string Folder => folder.FullName;

    /// <summary>The folder with the packages alone.</summary>
    public string Source => Path.Combine(folder.FullName, "feed");

    /// <summary>Opens a library's package, or with another extension its symbols.</summary>
    public ZipArchive Open(string library, string extension = ".nupkg") =>
        ZipFile.OpenRead(Path.Combine(Source, $"{library}.{Version}{extension}"));

    public void Dispose() => folder.Delete(recursive: true);
}
