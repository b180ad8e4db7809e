
namespace Microsoft.ML.BatchNorm.Tests.Documents;

/// <summary>The guide to savable components, followed to the letter.</summary>
[TestClass]
public class SavableComponentTests
{
    const string Guide = "docs/internals/savable-component.md";

    [TestMethod]
    public void A_component_made_by_the_guide_is_saved_and_loads_in_another_process()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("component-");
        try
        {
            string build = Path.Combine(DotNetBuild.Root, "build"), program = Path.Combine(build, "PublicReferences");
            foreach (string path in (string[])
                [
                    Path.Combine(build, "PublicReferences.targets"), .. Directory.GetFiles(program, "*.cs"),
                    .. Directory.GetFiles(program, "*.csproj"),
                ])
            {
                Write(folder, Path.GetRelativePath(DotNetBuild.Root, path), File.ReadAllText(path));
            }
            CodeBlock[] files = [.. MarkdownDocument.Blocks(Guide).Where(block => block.FileName is not null)];
            foreach (CodeBlock file in files)
                Write(folder, file.FileName!, file.Code);

            DotNetBuild.Execute(
                ["build", "Program", "--configuration", DotNetBuild.Configuration, "-tl:off", "-verbosity:quiet"],
                folder.FullName);
            string assembly = Path.Combine("Program", "bin", DotNetBuild.Configuration, "net10.0", "Program.dll");
            string output = DotNetBuild.Execute(["exec", assembly, "save"], folder.FullName)
                + DotNetBuild.Execute(["exec", assembly, "load"], folder.FullName);
            Assert.AreEqual(
                files.Single(file => file.FileName == "Program/Program.cs").Output,
                output.ReplaceLineEndings("\n").TrimEnd('\n'));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
    static void Write(DirectoryInfo folder, string name, string text)
    {
        string path = Path.Combine(folder.FullName, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }
}
