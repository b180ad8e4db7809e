using System.Collections.Immutable;
using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using System.Text.RegularExpressions;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>A type that refers to another one, and the folders that their sources lie in.</summary>
readonly record struct FolderReference(string FromFolder, string From, string ToFolder, string To)
{
    public override string ToString() => $"{FromFolder}/{From} refers to {ToFolder}/{To}";
}

/// <summary>The namespaces of an assembly's types, without those of .NET itself.</summary>
static class Namespaces
{
    public static string Of(Assembly assembly) => string.Join(
        ", ", assembly.GetTypes().Select(type => type.Namespace).Distinct()
            .Where(name => name?.StartsWith("Microsoft.ML", StringComparison.Ordinal) == true)
            .Order(StringComparer.Ordinal));
}

/// <summary>
/// Which types of an assembly refer to which others of it, by the folders of their sources: base types, fields,
/// signatures, local variables and everything that a method body names. The compiler leaves no trace of constants.
/// </summary>
/// <remarks>
/// Methods are found by the documents of the portable PDB. A type whose methods lie in several folders is as low as its
/// lowest where others refer to it, and as high as its highest where a base type or a field refers. A type without a
/// method is found in the text of the sources.
/// </remarks>
sealed partial class FolderReferences
    : ISignatureTypeProvider<ImmutableArray<TypeDefinitionHandle>, object?>, IDisposable
{
    static readonly Dictionary<int, OperandType> operands = typeof(OpCodes).GetFields().Select(
        field => (OpCode)field.GetValue(null)!).ToDictionary(code => (int)(ushort)code.Value, code => code.OperandType);

    readonly string sources;
    readonly string[] order;
    readonly PEReader assembly;
    readonly MetadataReader reader;
    readonly MetadataReaderProvider pdb;
    readonly MetadataReader documents;
    readonly Dictionary<MethodDefinitionHandle, string> methods = [];
    readonly Dictionary<TypeDefinitionHandle, string[]> types = [];
    readonly HashSet<FolderReference> found = [];

    FolderReferences(string assembly, string sources, string[] order)
    {
        (this.sources, this.order) = (sources, order);
        this.assembly = new PEReader(File.OpenRead(assembly));
        reader = this.assembly.GetMetadataReader();
        Assert.IsTrue(
            this.assembly.TryOpenAssociatedPortablePdb(assembly, File.OpenRead, out MetadataReaderProvider? pdb, out _),
            $"{assembly} has no portable PDB.");
        this.pdb = pdb!;
        documents = this.pdb.GetMetadataReader();
    }

    public void Dispose()
    {
        pdb.Dispose();
        assembly.Dispose();
    }

    /// <summary>All references between folders.</summary>
    /// <param name="assembly">The assembly, with its PDB beside it.</param>
    /// <param name="sources">The folder of its sources from the repository's root: <c>src/NAME</c>.</param>
    /// <param name="order">All folders with sources, the lowest first; a folder stands for those in it, too.</param>
    public static IReadOnlyCollection<FolderReference> Of(Assembly assembly, string sources, string[] order)
    {
        using var references = new FolderReferences(assembly.Location, sources, order);
        references.Locate();
        foreach (TypeDefinitionHandle type in references.reader.TypeDefinitions)
            references.Visit(type);
        return references.found;
    }

    /// <summary>References to a folder that stands later in the order.</summary>
    public static IEnumerable<FolderReference> Wrong(IEnumerable<FolderReference> references, string[] order) =>
        references.Where(
            reference => Array.IndexOf(order, reference.FromFolder) < Array.IndexOf(order, reference.ToFolder));

    void Locate()
    {
        foreach (MethodDefinitionHandle method in reader.MethodDefinitions)
        {
            MethodDebugInformation debug = documents.GetMethodDebugInformation(method);
            if (debug.SequencePointsBlob.IsNil)
                continue;
            DocumentHandle document =
                debug.Document.IsNil ? debug.GetSequencePoints().First().Document : debug.Document;
            if (FolderOf(documents.GetString(documents.GetDocument(document).Name)) is { } folder)
                methods.Add(method, folder);
        }
        ILookup<string, string> declared = (
            from file in Directory.EnumerateFiles(
                Path.Combine(DotNetBuild.Root, sources), "*.cs", SearchOption.AllDirectories)
            let folder = FolderOf(file)
            where folder is not null
            from Match match in Declaration().Matches(File.ReadAllText(file))
            select (Name: match.Groups["name"].Value, folder)).ToLookup(pair => pair.Name, pair => pair.folder);
        foreach (TypeDefinitionHandle type in reader.TypeDefinitions)
        {
            string[] folders = [.. MethodsOf(type).Distinct()];
            if (folders.Length == 0)
                folders = [.. declared[NameOf(Outermost(type))].Distinct()];
            types.Add(type, [.. folders.OrderBy(folder => Array.IndexOf(order, folder))]);
        }

        IEnumerable<string> MethodsOf(TypeDefinitionHandle type)
        {
            foreach (MethodDefinitionHandle method in reader.GetTypeDefinition(type).GetMethods())
            {
                if (methods.TryGetValue(method, out string? folder))
                    yield return folder;
            }
        }
    }

    /// <summary>The folder in the order that a source belongs to; null for sources that the compiler makes.</summary>
    string? FolderOf(string file)
    {
        string path = file.Replace('\\', '/'), marker = $"/{sources}/";
        int start = path.LastIndexOf(marker, StringComparison.Ordinal);
        if (start < 0)
            return null;
        string folder = path[(start + marker.Length)..];
        folder = folder[..Math.Max(0, folder.LastIndexOf('/'))];
        if (folder.Split('/')[0] is "obj" or "bin")
            return null;
        return order.Where(entry => folder == entry || folder.StartsWith(entry + "/", StringComparison.Ordinal))
            .MaxBy(entry => entry.Length)
            ?? throw new AssertFailedException($"The folder '{folder}' of {file} is not in the order of folders.");
    }

    void Visit(TypeDefinitionHandle handle)
    {
        if (types[handle] is not [.., string folder])
            return;
        TypeDefinition type = reader.GetTypeDefinition(handle);
        IEnumerable<EntityHandle> parts =
        [
            type.BaseType,
            .. type.GetInterfaceImplementations().Select(part => reader.GetInterfaceImplementation(part).Interface),
            .. Constraints(type.GetGenericParameters()),
        ];
        foreach (EntityHandle part in parts)
            Add(folder, handle, part);
        foreach (FieldDefinitionHandle field in type.GetFields())
            Add(folder, handle, reader.GetFieldDefinition(field).DecodeSignature(this, null));
        foreach (MethodDefinitionHandle method in type.GetMethods())
            Visit(methods.GetValueOrDefault(method, folder), handle, reader.GetMethodDefinition(method));
    }

    void Visit(string folder, TypeDefinitionHandle type, MethodDefinition method)
    {
        Add(folder, type, method.DecodeSignature(this, null));
        foreach (EntityHandle constraint in Constraints(method.GetGenericParameters()))
            Add(folder, type, constraint);
        if (method.RelativeVirtualAddress == 0)
            return;
        MethodBodyBlock body = assembly.GetMethodBody(method.RelativeVirtualAddress);
        if (!body.LocalSignature.IsNil)
        {
            StandaloneSignature locals = reader.GetStandaloneSignature(body.LocalSignature);
            foreach (ImmutableArray<TypeDefinitionHandle> local in locals.DecodeLocalSignature(this, null))
                Add(folder, type, local);
        }
        foreach (ExceptionRegion region in body.ExceptionRegions)
            Add(folder, type, region.CatchType);
        BlobReader code = body.GetILReader();
        while (code.RemainingBytes > 0)
        {
            int operation = code.ReadByte();
            if (operation == 0xFE)
                operation = operation << 8 | code.ReadByte();
            switch (operands[operation])
            {
                case OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok
                    or OperandType.InlineType or OperandType.InlineSig:
                    Add(folder, type, MetadataTokens.EntityHandle(code.ReadInt32()));
                    break;
                case OperandType.InlineSwitch:
                    int targets = code.ReadInt32();
                    code.Offset += 4 * targets;
                    break;
                case OperandType.InlineNone:
                    break;
                case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar:
                    code.Offset++;
                    break;
                case OperandType.InlineVar:
                    code.Offset += 2;
                    break;
                case OperandType.InlineI8 or OperandType.InlineR:
                    code.Offset += 8;
                    break;
                default:
                    code.Offset += 4;
                    break;
            }
        }
    }

    IEnumerable<EntityHandle> Constraints(GenericParameterHandleCollection parameters) =>
        from parameter in parameters
        from constraint in reader.GetGenericParameter(parameter).GetConstraints()
        select reader.GetGenericParameterConstraint(constraint).Type;

    void Add(string folder, TypeDefinitionHandle from, MethodSignature<ImmutableArray<TypeDefinitionHandle>> signature)
    {
        Add(folder, from, signature.ReturnType);
        foreach (ImmutableArray<TypeDefinitionHandle> parameter in signature.ParameterTypes)
            Add(folder, from, parameter);
    }

    void Add(string folder, TypeDefinitionHandle from, ImmutableArray<TypeDefinitionHandle> types)
    {
        foreach (TypeDefinitionHandle type in types)
            Add(folder, from, type, this.types[type].FirstOrDefault());
    }

    void Add(string folder, TypeDefinitionHandle from, TypeDefinitionHandle to, string? toFolder)
    {
        if (toFolder is not null && toFolder != folder)
            found.Add(new(folder, NameOf(Outermost(from)), toFolder, NameOf(Outermost(to))));
    }

    void Add(string folder, TypeDefinitionHandle from, EntityHandle to)
    {
        if (to.IsNil)
            return;
        switch (to.Kind)
        {
            case HandleKind.TypeDefinition:
                Add(folder, from, [(TypeDefinitionHandle)to]);
                break;
            case HandleKind.TypeSpecification:
                Add(folder, from, GetTypeFromSpecification(reader, null, (TypeSpecificationHandle)to, 0));
                break;
            case HandleKind.FieldDefinition:
                Add(folder, from, [reader.GetFieldDefinition((FieldDefinitionHandle)to).GetDeclaringType()]);
                break;
            case HandleKind.MethodDefinition:
                var method = (MethodDefinitionHandle)to;
                TypeDefinitionHandle type = reader.GetMethodDefinition(method).GetDeclaringType();
                Add(folder, from, type, methods.GetValueOrDefault(method) ?? types[type].FirstOrDefault());
                break;
            case HandleKind.MemberReference:
                Add(folder, from, reader.GetMemberReference((MemberReferenceHandle)to).Parent);
                break;
            case HandleKind.MethodSpecification:
                MethodSpecification generic = reader.GetMethodSpecification((MethodSpecificationHandle)to);
                Add(folder, from, generic.Method);
                foreach (ImmutableArray<TypeDefinitionHandle> argument in generic.DecodeSignature(this, null))
                    Add(folder, from, argument);
                break;
        }
    }

    TypeDefinitionHandle Outermost(TypeDefinitionHandle type)
    {
        while (reader.GetTypeDefinition(type).GetDeclaringType() is { IsNil: false } declaring)
            type = declaring;
        return type;
    }

    string NameOf(TypeDefinitionHandle type) => reader.GetString(reader.GetTypeDefinition(type).Name).Split('`')[0];

    [GeneratedRegex(@"^[\w ]*\b(class|struct|interface|enum|record|delegate [\w<>\[\]?,. ]+) (?<name>\w+)",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Declaration();

    public ImmutableArray<TypeDefinitionHandle> GetTypeFromDefinition(
        MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind) => [handle];

    public ImmutableArray<TypeDefinitionHandle> GetTypeFromReference(
        MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) => [];

    public ImmutableArray<TypeDefinitionHandle> GetTypeFromSpecification(
        MetadataReader reader, object? genericContext, TypeSpecificationHandle handle, byte rawTypeKind) =>
        reader.GetTypeSpecification(handle).DecodeSignature(this, genericContext);

    public ImmutableArray<TypeDefinitionHandle> GetPrimitiveType(PrimitiveTypeCode typeCode) => [];

    public ImmutableArray<TypeDefinitionHandle> GetGenericTypeParameter(object? genericContext, int index) => [];

    public ImmutableArray<TypeDefinitionHandle> GetGenericMethodParameter(object? genericContext, int index) => [];

    public ImmutableArray<TypeDefinitionHandle> GetGenericInstantiation(
        ImmutableArray<TypeDefinitionHandle> genericType,
        ImmutableArray<ImmutableArray<TypeDefinitionHandle>> typeArguments) =>
        [.. genericType, .. typeArguments.SelectMany(types => types)];

    public ImmutableArray<TypeDefinitionHandle> GetFunctionPointerType(
        MethodSignature<ImmutableArray<TypeDefinitionHandle>> signature) =>
        [.. signature.ReturnType, .. signature.ParameterTypes.SelectMany(types => types)];

    public ImmutableArray<TypeDefinitionHandle> GetModifiedType(
        ImmutableArray<TypeDefinitionHandle> modifier, ImmutableArray<TypeDefinitionHandle> unmodifiedType,
        bool isRequired) => unmodifiedType;

    public ImmutableArray<TypeDefinitionHandle> GetArrayType(
        ImmutableArray<TypeDefinitionHandle> elementType, ArrayShape shape) => elementType;

    public ImmutableArray<TypeDefinitionHandle> GetSZArrayType(ImmutableArray<TypeDefinitionHandle> elementType) =>
        elementType;

    public ImmutableArray<TypeDefinitionHandle> GetByReferenceType(ImmutableArray<TypeDefinitionHandle> elementType) =>
        elementType;

    public ImmutableArray<TypeDefinitionHandle> GetPointerType(ImmutableArray<TypeDefinitionHandle> elementType) =>
        elementType;

    public ImmutableArray<TypeDefinitionHandle> GetPinnedType(ImmutableArray<TypeDefinitionHandle> elementType) =>
        elementType;
}
