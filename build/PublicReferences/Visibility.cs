using System.Buffers.Binary;
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace PublicReferences;

/// <summary>
/// Raises visibility in the metadata tables of an assembly, in place: internal becomes public and private protected
/// becomes protected. Everything else stays, private above all.
/// </summary>
/// <remarks>
/// Tables, columns and bits: ECMA-335, II.22.15 (Field), II.22.26 (MethodDef), II.22.37 (TypeDef) and II.23.1.
/// </remarks>
static class Visibility
{
    const int MethodFlags = sizeof(uint) + sizeof(ushort);

    public static void Raise(byte[] image)
    {
        using var file = new PEReader(new MemoryStream(image), PEStreamOptions.PrefetchMetadata);
        MetadataReader metadata = file.GetMetadataReader();

        Span<byte> Row(TableIndex table, EntityHandle handle) => image.AsSpan(
            file.PEHeaders.MetadataStartOffset + metadata.GetTableMetadataOffset(table)
            + (MetadataTokens.GetRowNumber(handle) - 1) * metadata.GetTableRowSize(table));

        foreach (TypeDefinitionHandle handle in metadata.TypeDefinitions)
        {
            TypeDefinition type = metadata.GetTypeDefinition(handle);
            if (BelongsToCompiler(metadata.GetString(type.Namespace)))
                continue;
            BinaryPrimitives.WriteUInt32LittleEndian(Row(TableIndex.TypeDef, handle), (uint)Raised(type.Attributes));
        }
        foreach (FieldDefinitionHandle handle in metadata.FieldDefinitions)
        {
            FieldAttributes flags = metadata.GetFieldDefinition(handle).Attributes;
            BinaryPrimitives.WriteUInt16LittleEndian(Row(TableIndex.Field, handle), (ushort)Raised(flags));
        }
        foreach (MethodDefinitionHandle handle in metadata.MethodDefinitions)
        {
            MethodAttributes flags = metadata.GetMethodDefinition(handle).Attributes;
            BinaryPrimitives.WriteUInt16LittleEndian(
                Row(TableIndex.MethodDef, handle)[MethodFlags..], (ushort)Raised(flags));
        }
    }

    /// <summary>
    /// Whether a type is one that compilers put into each assembly, such as NullableAttribute. Several public ones of
    /// the same name would be ambiguous.
    /// </summary>
    static bool BelongsToCompiler(string name) =>
        name is "System" or "Microsoft.CodeAnalysis" || name.StartsWith("System.", StringComparison.Ordinal);

    static TypeAttributes Raised(TypeAttributes flags) => (flags & TypeAttributes.VisibilityMask) switch
    {
        TypeAttributes.NotPublic => flags & ~TypeAttributes.VisibilityMask | TypeAttributes.Public,
        TypeAttributes.NestedAssembly => flags & ~TypeAttributes.VisibilityMask | TypeAttributes.NestedPublic,
        TypeAttributes.NestedFamANDAssem => flags & ~TypeAttributes.VisibilityMask | TypeAttributes.NestedFamily,
        _ => flags,
    };

    static FieldAttributes Raised(FieldAttributes flags) => (flags & FieldAttributes.FieldAccessMask) switch
    {
        FieldAttributes.Assembly => flags & ~FieldAttributes.FieldAccessMask | FieldAttributes.Public,
        FieldAttributes.FamANDAssem => flags & ~FieldAttributes.FieldAccessMask | FieldAttributes.Family,
        _ => flags,
    };

    static MethodAttributes Raised(MethodAttributes flags) => (flags & MethodAttributes.MemberAccessMask) switch
    {
        MethodAttributes.Assembly => flags & ~MethodAttributes.MemberAccessMask | MethodAttributes.Public,
        MethodAttributes.FamANDAssem => flags & ~MethodAttributes.MemberAccessMask | MethodAttributes.Family,
        _ => flags,
    };
}
