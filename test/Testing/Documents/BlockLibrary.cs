using System.Reflection;
using System.Xml.Linq;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>
/// The blocks of the documents as one library, built once against the assemblies beside the tests, as a user's project
/// would be, and run in this process in a folder of their own, whose name is the library's: a process loads no two
/// libraries of one name.
/// </summary>
sealed class BlockLibrary : IDisposable
{
    readonly DirectoryInfo folder;
    readonly Dictionary<string, BlockChain> chains;
    readonly Assembly assembly;

    BlockLibrary(DirectoryInfo folder, IReadOnlyList<BlockChain> chains)
    {
        this.folder = folder;
        this.chains = chains.ToDictionary(chain => chain.Name);
        assembly = Assembly.LoadFrom(Path.Combine(folder.FullName, "out", $"{folder.Name}.dll"));
    }

    /// <summary>The chains of all documents that need this.</summary>
    public static List<BlockChain> Chains(BlockNeed need) =>
        BlockChain.Of(MarkdownDocument.All.SelectMany(MarkdownDocument.Blocks)).FindAll(chain => chain.Need == need);

    /// <param name="chains">The chains.</param>
    /// <param name="references">Names of the assemblies that a user's project references.</param>
    /// <param name="files">Files that the code reads beside those of all documents.</param>
    public static BlockLibrary Build(
        IReadOnlyList<BlockChain> chains, IEnumerable<string> references, params IEnumerable<string> files)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("documents-");
        try
        {
            foreach (BlockChain chain in chains)
                File.WriteAllText(Path.Combine(folder.FullName, $"{chain.ClassName}.cs"), chain.ToSource());
            DocumentData.Write(folder.FullName);
            foreach (string file in files)
                File.Copy(file, Path.Combine(folder.FullName, Path.GetFileName(file)));
            // Nothing from the folders above.
            File.WriteAllText(Path.Combine(folder.FullName, "Directory.Build.props"), "<Project />");
            File.WriteAllText(Path.Combine(folder.FullName, "Directory.Build.targets"), "<Project />");
            File.WriteAllText(Path.Combine(folder.FullName, "Directory.Packages.props"), "<Project />");
            string project = Path.Combine(folder.FullName, $"{folder.Name}.csproj");
            Project(references).Save(project);
            DotNetBuild.Execute(
                ["build", project, "--output", Path.Combine(folder.FullName, "out"), "-tl:off", "-verbosity:quiet"]);
            return new BlockLibrary(folder, chains);
        }
        catch
        {
            folder.Delete(recursive: true);
            throw;
        }
    }

    /// <summary>Runs a chain, and compares what its blocks print with what the document shows.</summary>
    public void Run(string name)
    {
        BlockChain chain = chains[name];
        if (chain.IsCompiledOnly)
            return;
        MethodInfo method = assembly.GetType(chain.ClassName)!.GetMethod("Run")!;
        TextWriter console = Console.Out;
        string current = Environment.CurrentDirectory;
        var output = new StringWriter();
        Environment.CurrentDirectory = folder.FullName;
        Console.SetOut(output);
        try
        {
            method.CreateDelegate<Action<Action<int>>>()(index =>
            {
                string printed = output.ToString().ReplaceLineEndings("\n").TrimEnd('\n');
                output.GetStringBuilder().Clear();
                if (chain.Blocks[index].Output is { } shown)
                    Assert.AreEqual(shown, printed, $"{chain.Blocks[index].Document}:{chain.Blocks[index].Line}");
            });
        }
        finally
        {
            Console.SetOut(console);
            Environment.CurrentDirectory = current;
        }
    }

    // The assembly stays loaded, and on some systems its file stays with it.
    public void Dispose()
    {
        try
        {
            folder.Delete(recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
        }
    }

    static XElement Project(IEnumerable<string> references) => new(
        "Project", new XAttribute("Sdk", "Microsoft.NET.Sdk"),
        new XElement(
            "PropertyGroup",
            new XElement("TargetFramework", "net10.0"),
            new XElement("ImplicitUsings", "enable"),
            new XElement("Nullable", "enable"),
            new XElement("TreatWarningsAsErrors", "true"),
            new XElement("InvariantGlobalization", "true")),
        new XElement(
            "ItemGroup",
            references.Select(name => new XElement(
                "Reference", new XAttribute("Include", Path.Combine(AppContext.BaseDirectory, $"{name}.dll")),
                new XAttribute("Private", "false")))));
}
