using System.Collections.Immutable;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Runtime;

/// <summary>No scalar is handed to TorchSharp that a garbage collection may end during the call.</summary>
[TestClass]
public class ScalarsTests
{
    // What converts a number, or makes a 1 of its own.
    static readonly ImmutableHashSet<string> unkept =
        ["Scalar.op_Implicit", "Tensor.add/1", "Tensor.add_/1", "Tensor.addcdiv/2", "Tensor.addcdiv_/2",
         "functional.leaky_relu", "Tensor.op_Addition", "Tensor.op_Subtraction", "Tensor.op_Multiply",
         "Tensor.op_Division"];

    [TestMethod]
    public void Every_scalar_is_kept_alive()
    {
        using var file = new PEReader(File.OpenRead(typeof(TorchEngine).Assembly.Location));
        MetadataReader metadata = file.GetMetadataReader();
        string[] called = [.. metadata.MemberReferences.SelectMany(handle => Names(metadata, handle))];
        Assert.Contains("Tensor.add/2", called);
        Assert.AreEqual("", string.Join(" ", called.Where(unkept.Contains)));
    }

    /// <summary>The method with its type, alone and with the number of parameters.</summary>
    static IEnumerable<string> Names(MetadataReader metadata, MemberReferenceHandle handle)
    {
        MemberReference member = metadata.GetMemberReference(handle);
        if (member.Parent.Kind != HandleKind.TypeReference || member.GetKind() != MemberReferenceKind.Method)
            return [];
        TypeReference type = metadata.GetTypeReference((TypeReferenceHandle)member.Parent);
        BlobReader signature = metadata.GetBlobReader(member.Signature);
        signature.ReadSignatureHeader();
        string name = $"{metadata.GetString(type.Name)}.{metadata.GetString(member.Name)}";
        return [name, $"{name}/{signature.ReadCompressedInteger()}"];
    }
}
