using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using System.Runtime.Loader;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Runtime;

/// <summary>
/// Microsoft.ML.TorchSharp shares a process and its TorchSharp with this library, though it was compiled against an
/// older one: what it uses of TorchSharp is there, but for one function. These tests tell when that changes.
/// </summary>
[TestClass]
public class NeighborTests
{
    static string Neighbor { get; } = Assembly.GetExecutingAssembly().GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(data => data.Key == "Microsoft.ML.TorchSharp").Value!;

    /// <summary>It has got a seventh parameter in 0.105.1. Of ML.NET, object detection alone calls it.</summary>
    [TestMethod]
    public void Microsoft_ML_TorchSharp_finds_all_it_calls_but_the_interpolation_of_object_detection()
    {
        var context = new AssemblyLoadContext(nameof(NeighborTests), isCollectible: true);
        try
        {
            using var file = new PEReader(File.OpenRead(Neighbor));
            MetadataReader reader = file.GetMetadataReader();
            Module module = context.LoadFromAssemblyPath(Neighbor).ManifestModule;
            var types = reader.TypeReferences.Where(type => IsOfTorchSharp(reader, type)).ToArray();
            var members = reader.MemberReferences
                .Where(member => IsOfTorchSharp(reader, reader.GetMemberReference(member).Parent)).ToArray();
            Type[] any = [.. Enumerable.Repeat(typeof(float), 8)];
            Assert.IsGreaterThan(50, types.Length);
            Assert.IsGreaterThan(300, members.Length);
            Assert.AreEqual(
                "", string.Join(
                    ", ", types.Where(type => !Resolves(() => module.ResolveType(Token(type))))
                        .Select(type => Name(reader, type))));
            Assert.AreEqual(
                "functional.interpolate", string.Join(
                    ", ", members.Where(member => !Resolves(() => module.ResolveMember(Token(member), any, any)))
                        .Select(member => Name(reader, member))));
        }
        finally
        {
            context.Unload();
        }
    }

    static bool IsOfTorchSharp(MetadataReader reader, EntityHandle handle)
    {
        switch (handle.Kind)
        {
            case HandleKind.AssemblyReference:
                AssemblyReference assembly = reader.GetAssemblyReference((AssemblyReferenceHandle)handle);
                return reader.StringComparer.Equals(assembly.Name, "TorchSharp");
            case HandleKind.TypeReference:
                return IsOfTorchSharp(
                    reader, reader.GetTypeReference((TypeReferenceHandle)handle).ResolutionScope);
            case HandleKind.TypeSpecification:
                BlobHandle signature = reader.GetTypeSpecification((TypeSpecificationHandle)handle).Signature;
                BlobReader blob = reader.GetBlobReader(signature);
                if (blob.ReadSignatureTypeCode() != SignatureTypeCode.GenericTypeInstance)
                    return false;
                blob.ReadSignatureTypeCode();
                return IsOfTorchSharp(reader, blob.ReadTypeHandle());
            default:
                return false;
        }
    }

    static string Name(MetadataReader reader, EntityHandle handle)
    {
        if (handle.Kind == HandleKind.TypeReference)
            return reader.GetString(reader.GetTypeReference((TypeReferenceHandle)handle).Name);
        if (handle.Kind != HandleKind.MemberReference)
            return handle.Kind.ToString();
        MemberReference member = reader.GetMemberReference((MemberReferenceHandle)handle);
        return $"{Name(reader, member.Parent)}.{reader.GetString(member.Name)}";
    }

    static int Token(EntityHandle handle) => MetadataTokens.GetToken(handle);

    static bool Resolves(Func<object?> resolve)
    {
        try
        {
            return resolve() is not null;
        }
        catch (Exception error) when (error is MissingMemberException or TypeLoadException)
        {
            return false;
        }
    }
}
