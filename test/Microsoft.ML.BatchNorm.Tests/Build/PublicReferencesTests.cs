using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Build;

/// <summary>The compiler's copies of ML.NET's assemblies, against the originals that the program runs on.</summary>
[TestClass]
public class PublicReferencesTests
{
    static readonly string[] assemblies = ["Microsoft.ML.Core", "Microsoft.ML.Data", "Microsoft.ML.DataView"];

    static IEnumerable<object[]> Assemblies => assemblies.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Assemblies))]
    public void Internal_types_and_members_are_public_in_the_copy_and_private_protected_ones_protected(string name)
    {
        Dictionary<string, int> changes = Changes(name);
        string[] expected =
        [
            "type NotPublic > Public", "type NestedAssembly > NestedPublic", "type NestedFamANDAssem > NestedFamily",
            "field Assembly > Public", "field FamANDAssem > Family",
            "method Assembly > Public", "method FamANDAssem > Family",
        ];
        CollectionAssert.IsSubsetOf(changes.Keys, expected);
        Assert.IsTrue(changes["method Assembly > Public"] > 10);
    }

    [TestMethod]
    [DynamicData(nameof(Assemblies))]
    public void Nothing_internal_is_left_in_the_copy_except_what_belongs_to_the_compiler(string name)
    {
        using var copy = new Assembly(Copy(name));
        foreach (TypeDefinition type in copy.Types)
        {
            if (copy.Metadata.GetString(type.Namespace).StartsWith("System", StringComparison.Ordinal)
                || copy.Metadata.GetString(type.Namespace) == "Microsoft.CodeAnalysis"
                || copy.Metadata.GetString(type.Name) == "<Module>")
                continue;
            Assert.IsFalse(
                (type.Attributes & TypeAttributes.VisibilityMask)
                    is TypeAttributes.NotPublic or TypeAttributes.NestedAssembly or TypeAttributes.NestedFamANDAssem,
                copy.Metadata.GetString(type.Name));
        }
        Assert.IsFalse(copy.Methods.Any(m => (m & MethodAttributes.MemberAccessMask)
            is MethodAttributes.Assembly or MethodAttributes.FamANDAssem));
        Assert.IsFalse(copy.Fields.Any(f => (f & FieldAttributes.FieldAccessMask)
            is FieldAttributes.Assembly or FieldAttributes.FamANDAssem));
    }

    [TestMethod]
    [DynamicData(nameof(Assemblies))]
    public void Private_members_stay_private(string name)
    {
        using var original = new Assembly(Original(name));
        using var copy = new Assembly(Copy(name));
        Assert.AreEqual(Private(original), Private(copy));

        static (int, int, int) Private(Assembly assembly) => (
            assembly.Types.Count(t => (t.Attributes & TypeAttributes.VisibilityMask) == TypeAttributes.NestedPrivate),
            assembly.Methods.Count(m => (m & MethodAttributes.MemberAccessMask) == MethodAttributes.Private),
            assembly.Fields.Count(f => (f & FieldAttributes.FieldAccessMask) == FieldAttributes.Private));
    }

    [TestMethod]
    [DynamicData(nameof(Assemblies))]
    public void The_copy_has_the_original_s_size_and_module_version(string name)
    {
        using var original = new Assembly(Original(name));
        using var copy = new Assembly(Copy(name));
        Assert.AreEqual(new FileInfo(Original(name)).Length, new FileInfo(Copy(name)).Length);
        Assert.AreEqual(original.Mvid, copy.Mvid);
    }

    [TestMethod]
    [DynamicData(nameof(Assemblies))]
    public void Bytes_differ_in_rows_of_types_fields_and_methods_alone(string name)
    {
        byte[] original = File.ReadAllBytes(Original(name)), copy = File.ReadAllBytes(Copy(name));
        using var assembly = new Assembly(Original(name));
        foreach (TableIndex table in (TableIndex[])[TableIndex.TypeDef, TableIndex.Field, TableIndex.MethodDef])
        {
            int start = assembly.File.PEHeaders.MetadataStartOffset + assembly.Metadata.GetTableMetadataOffset(table);
            int length = assembly.Metadata.GetTableRowCount(table) * assembly.Metadata.GetTableRowSize(table);
            copy.AsSpan(start, length).CopyTo(original.AsSpan(start));
        }
        CollectionAssert.AreEqual(original, copy);
    }

    [TestMethod]
    public void The_program_runs_on_the_originals()
    {
        System.Reflection.Assembly built = typeof(BatchNormalizationTransformer).Assembly;
        var references = built.GetReferencedAssemblies().ToDictionary(reference => reference.Name!);
        foreach (string name in assemblies)
        {
            AssemblyName original = AssemblyName.GetAssemblyName(Original(name));
            Assert.AreEqual(original.FullName, references[name].FullName);
        }
        System.Reflection.Assembly loaded = typeof(BatchNormalizationTransformer).BaseType!.Assembly;
        Assert.AreEqual(Original("Microsoft.ML.Data"), loaded.Location);
        Assert.IsFalse(loaded.GetType("Microsoft.ML.Data.IRowMapper")!.IsPublic);
    }

    static string Original(string name) => Path.Combine(AppContext.BaseDirectory, $"{name}.dll");

    static string Copy(string name) => Path.Combine(AppContext.BaseDirectory, "PublicReferences", $"{name}.dll");

    /// <summary>How often each change of visibility was made.</summary>
    static Dictionary<string, int> Changes(string name)
    {
        using var original = new Assembly(Original(name));
        using var copy = new Assembly(Copy(name));
        var changes = new Dictionary<string, int>();
        void Count<T>(string what, IEnumerable<T> before, IEnumerable<T> after) where T : struct, Enum
        {
            foreach ((T old, T now) in before.Zip(after).Where(pair => !pair.First.Equals(pair.Second)))
            {
                string change = $"{what} {old} > {now}";
                changes[change] = changes.GetValueOrDefault(change) + 1;
            }
        }
        Count("type", original.Types.Select(Visibility), copy.Types.Select(Visibility));
        Count("field", original.Fields.Select(f => f & FieldAttributes.FieldAccessMask),
            copy.Fields.Select(f => f & FieldAttributes.FieldAccessMask));
        Count("method", original.Methods.Select(m => m & MethodAttributes.MemberAccessMask),
            copy.Methods.Select(m => m & MethodAttributes.MemberAccessMask));
        return changes;

        static TypeAttributes Visibility(TypeDefinition type) => type.Attributes & TypeAttributes.VisibilityMask;
    }

    sealed class Assembly(string path) : IDisposable
    {
        public PEReader File { get; } = new(System.IO.File.OpenRead(path));

        public MetadataReader Metadata => File.GetMetadataReader();

        public Guid Mvid => Metadata.GetGuid(Metadata.GetModuleDefinition().Mvid);

        public IEnumerable<TypeDefinition> Types => Metadata.TypeDefinitions.Select(Metadata.GetTypeDefinition);

        public IEnumerable<MethodAttributes> Methods =>
            Metadata.MethodDefinitions.Select(handle => Metadata.GetMethodDefinition(handle).Attributes);

        public IEnumerable<FieldAttributes> Fields =>
            Metadata.FieldDefinitions.Select(handle => Metadata.GetFieldDefinition(handle).Attributes);

        public void Dispose() => File.Dispose();
    }
}
