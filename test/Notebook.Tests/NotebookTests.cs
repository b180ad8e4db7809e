using System.Xml.Linq;
using Microsoft.DotNet.Interactive;
using Microsoft.DotNet.Interactive.Commands;
using Microsoft.DotNet.Interactive.CSharp;
using Microsoft.DotNet.Interactive.Documents;
using Microsoft.DotNet.Interactive.Documents.Jupyter;
using Microsoft.DotNet.Interactive.Events;

namespace Samples.Tests;

/// <summary>The notebook of the samples, run cell by cell in .NET Interactive's kernel for C#.</summary>
[TestClass]
public class NotebookTests
{
    static readonly string file =
        Path.Combine(DotNetBuild.Root, "src", "Samples", "Notebook", "BatchNormalization.ipynb");

    static InteractiveDocument executed = null!;

    /// <summary>The notebook with the outputs of this run lies beside the tests, to be copied when it changes.</summary>
    [ClassInitialize]
    public static async Task Run(TestContext context)
    {
        executed = Notebook.Parse(File.ReadAllText(file));
        Environment.CurrentDirectory = Path.GetDirectoryName(file)!;
        using var kernel = new CompositeKernel { new CSharpKernel() };
        int number = 0;
        foreach (InteractiveDocumentElement cell in Cells(executed))
        {
            KernelCommandResult result = await kernel.SendAsync(new SubmitCode(WithBuiltAssemblies(cell.Contents)));
            Assert.AreEqual(
                "", string.Join('\n', result.Events.OfType<CommandFailed>().Select(failed => failed.Message)),
                cell.Contents);
            cell.Outputs.Clear();
            cell.Outputs.AddRange(Outputs(result.Events));
            cell.ExecutionOrder = ++number;
        }
        File.WriteAllText(
            Path.Combine(AppContext.BaseDirectory, Path.GetFileName(file)), executed.ToJupyterJson());
    }

    [TestMethod]
    public void Its_reports_are_shown_as_html()
    {
        string[] pages = [.. Cells(executed).SelectMany(cell => cell.Outputs).OfType<DisplayElement>().Select(Html)];
        Assert.AreEqual(3, pages.Count(page => page.Contains("class=\"bn-report\"", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void A_reader_of_the_file_sees_outputs_of_the_same_kinds()
    {
        InteractiveDocument stored = Notebook.Parse(File.ReadAllText(file));
        Assert.AreEqual(
            string.Join('\n', Cells(executed).Select(Kinds)), string.Join('\n', Cells(stored).Select(Kinds)),
            $"Copy {Path.GetFileName(file)} from {AppContext.BaseDirectory} over {file}.");

        static string Kinds(InteractiveDocumentElement cell) => string.Join(", ", cell.Outputs.Select(
            output => output is DisplayElement display ? string.Join(' ', display.Data.Keys) : output.GetType().Name));
    }

    [TestMethod]
    public void It_asks_for_the_version_that_is_packed()
    {
        XDocument properties = XDocument.Load(Path.Combine(DotNetBuild.Root, "src", "Directory.Build.props"));
        StringAssert.Contains(
            Cells(executed).First().Contents,
            $"#r \"nuget: Microsoft.ML.BatchNorm, {properties.Descendants("Version").Single().Value}\"");
    }

    static IEnumerable<InteractiveDocumentElement> Cells(InteractiveDocument document) =>
        document.Elements.Where(element => element.KernelName == "csharp");

    static string Html(DisplayElement display) =>
        display.Data.TryGetValue("text/html", out object? html) ? (string)html : "";

    /// <summary>A package is not there before it is published: what was built stands for it.</summary>
    static string WithBuiltAssemblies(string code) =>
        !code.Contains("#r \"nuget:", StringComparison.Ordinal)
            ? code
            : string.Join('\n', Directory.GetFiles(AppContext.BaseDirectory, "Microsoft.ML*.dll")
                .Where(path => !Path.GetFileName(path).Contains("Test", StringComparison.Ordinal))
                .Select(path => $"#r \"{path}\""));

    static IEnumerable<InteractiveDocumentOutputElement> Outputs(IEnumerable<KernelEvent> events)
    {
        foreach (DisplayEvent shown in events.OfType<DisplayEvent>())
        {
            yield return shown switch
            {
                StandardOutputValueProduced => new TextElement(shown.FormattedValues.Single().Value, "stdout"),
                _ => new DisplayElement(
                    shown.FormattedValues.ToDictionary(value => value.MimeType, value => (object)value.Value)),
            };
        }
    }
}
