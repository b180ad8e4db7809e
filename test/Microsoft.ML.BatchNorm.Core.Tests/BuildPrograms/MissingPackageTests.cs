using Microsoft.ML.BatchNorm.Tests.Build;

namespace Microsoft.ML.BatchNorm.Tests.BuildPrograms;

/// <summary>The programs in <c>build</c> on a machine whose package source has nothing.</summary>
[TestClass]
public class MissingPackageTests
{
    [TestMethod]
    public void What_needs_ML_NET_is_left_out_in_one_line_and_the_first_sample_that_does_not_is_run()
    {
        string root = Directory.CreateTempSubdirectory("left-out-").FullName;
        try
        {
            CopyBuild(root);
            Write(root, "src/Library/Library.csproj", Project(
                output: "Library", Reference("PackageReference", "Microsoft.ML")));
            Write(root, "src/DigitsPipeline/DigitsPipeline.csproj", Project(
                output: "Exe", Reference("ProjectReference", "../Library/Library.csproj")));
            Write(root, "src/ExposureShift/ExposureShift.csproj", Project(output: "Exe", ""));
            foreach (string sample in (string[])["DigitsPipeline", "ExposureShift"])
                Write(root, $"src/{sample}/Program.cs", $"System.Console.WriteLine(\"{sample} runs.\");");

            // What the SDK keeps of a program without a project lies in the user's folder of data.
            string data = Directory.CreateDirectory(Path.Combine(root, "data")).FullName;
            string[] lines = DotNetBuild
                .Execute(["run", Path.Combine(root, "build", "sample.cs")], root, ("XDG_DATA_HOME", data))
                .Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            CollectionAssert.AreEqual(
                (string[])["left out: DigitsPipeline, Library (Microsoft.ML 5.0.0 cannot be restored)"],
                lines.Where(line => line.StartsWith("left out", StringComparison.Ordinal)).ToArray());
            Assert.AreEqual("ExposureShift runs.", lines[^1]);
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    /// <summary>The programs as they are, with a package source and a folder of packages that are both empty.</summary>
    static void CopyBuild(string root)
    {
        foreach (string file in Directory.GetFiles(Path.Combine(DotNetBuild.Root, "build", "Tools"))
            .Append(Path.Combine(DotNetBuild.Root, "build", "sample.cs"))
            .Append(Path.Combine(DotNetBuild.Root, "Directory.Packages.props")))
        {
            Write(root, Path.GetRelativePath(DotNetBuild.Root, file), File.ReadAllText(file));
        }
        Directory.CreateDirectory(Path.Combine(root, "source"));
        Directory.CreateDirectory(Path.Combine(root, "test"));
        Write(root, "nuget.config", """
            <configuration>
              <packageSources><clear /><add key="source" value="source" /></packageSources>
              <fallbackPackageFolders><clear /></fallbackPackageFolders>
            </configuration>
            """);
        Write(root, "Directory.Build.props", $"""
            <Project>
              <PropertyGroup>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <Nullable>enable</Nullable>
                <NuGetAudit>false</NuGetAudit>
                <RestorePackagesPath>{Path.Combine(root, "packages")}</RestorePackagesPath>
              </PropertyGroup>
            </Project>
            """);
    }

    static string Project(string output, string reference) => $"""
        <Project Sdk="Microsoft.NET.Sdk">
          <PropertyGroup><OutputType>{output}</OutputType></PropertyGroup>
          <ItemGroup>{reference}</ItemGroup>
        </Project>
        """;

    static string Reference(string kind, string include) => $"<{kind} Include=\"{include}\" />";

    static void Write(string root, string path, string text)
    {
        string file = Path.Combine(root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }
}
