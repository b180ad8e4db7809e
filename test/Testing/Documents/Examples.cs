using System.Reflection;
using System.Runtime.CompilerServices;
using System.Xml;
using System.Xml.Linq;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>
/// The examples in the documentation of an assembly, each compiled and run as a block of a document would be. What they
/// may assume is in CONTRIBUTING.md.
/// </summary>
static class Examples
{
    /// <summary>The examples as chains of one block, named by the file of the documentation and the line in it.</summary>
    /// <param name="assembly">The name of the assembly, whose documentation lies beside the tests.</param>
    /// <param name="setup">Usings, one per line.</param>
    public static List<BlockChain> Chains(string assembly, string setup) => BlockChain.Of(
        Members(assembly).Values.SelectMany(member => member.Elements("example")).Elements("code")
            .Select(code => new CodeBlock($"{assembly}.xml", ((IXmlLineInfo)code).LineNumber + 1, "csharp", Code(code))
            {
                Setup = setup,
            }));

    /// <summary>Catalog methods of an assembly without an example of their own and without an inherited one.</summary>
    public static string[] CatalogMethodsWithout(Assembly assembly)
    {
        Dictionary<string, XElement> members = Members(assembly.GetName().Name!);
        var missing = new List<string>();
        foreach (IGrouping<string, MethodInfo> overloads in CatalogMethods(assembly))
        {
            string[] documented = [.. members.Keys.Where(member => member.Split('(', '`')[0] == overloads.Key)];
            Assert.HasCount(overloads.Count(), documented, overloads.Key);
            missing.AddRange(documented.Where(member => !HasExample(members, member)));
        }
        return [.. missing];
    }

    /// <summary>The public extension methods in namespace Microsoft.ML by their names in the documentation.</summary>
    static IEnumerable<IGrouping<string, MethodInfo>> CatalogMethods(Assembly assembly) =>
        assembly.GetExportedTypes().Where(type => type.Namespace == "Microsoft.ML")
            .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Static))
            .Where(method => method.IsDefined(typeof(ExtensionAttribute)))
            .GroupBy(method => $"M:{method.DeclaringType!.FullName}.{method.Name}");

    static bool HasExample(Dictionary<string, XElement> members, string member) =>
        members.TryGetValue(member, out XElement? documentation)
        && (documentation.Elements("example").Elements("code").Any()
            || documentation.Elements("inheritdoc").Any(inherited =>
                inherited.Attribute("path") is null && HasExample(members, (string?)inherited.Attribute("cref") ?? "")));

    static Dictionary<string, XElement> Members(string assembly) =>
        XDocument.Load(Path.Combine(AppContext.BaseDirectory, $"{assembly}.xml"), LoadOptions.SetLineInfo)
            .Descendants("member").ToDictionary(member => (string)member.Attribute("name")!);

    /// <summary>The code without the indent of the comment.</summary>
    static string Code(XElement code)
    {
        string[] lines = code.Value.ReplaceLineEndings("\n").Trim('\n').TrimEnd().Split('\n');
        int indent = lines.Where(line => line.Trim().Length > 0).Min(line => line.Length - line.TrimStart().Length);
        return string.Join('\n', lines.Select(line => line[Math.Min(indent, line.Length)..]));
    }
}
