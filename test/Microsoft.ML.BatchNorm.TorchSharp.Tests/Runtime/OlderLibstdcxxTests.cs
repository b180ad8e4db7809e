namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Runtime;

/// <summary>A version that TorchSharp's library needs is made weak where no code needs it, and nowhere else.</summary>
[TestClass]
public class OlderLibstdcxxTests
{
    const string Unused = "GLIBCXX_3.4.32", Used = "GLIBCXX_3.4.30";

    readonly byte[] original = NativeFile.Read(), library = NativeFile.Read();

    int Changed => original.Zip(library).Count(pair => pair.First != pair.Second);

    [TestMethod]
    public void The_version_of_the_marker_is_made_weak_by_one_bit()
    {
        Assert.IsTrue(OlderLibstdcxx.Weaken(library, Unused));
        Assert.AreEqual(1, Changed);
        int at = original.AsSpan().CommonPrefixLength(library);
        Assert.AreEqual(0, original[at]);
        Assert.AreEqual(2, library[at]);
    }

    [TestMethod]
    [DataRow(Used)]
    [DataRow("GLIBC_2.34")]
    [DataRow("GLIBCXX_3.4.3")]
    [DataRow("GLIBCXX_3.4.33")]
    [DataRow("")]
    public void No_other_version_is_made_weak(string version)
    {
        Assert.IsFalse(OlderLibstdcxx.Weaken(library, version));
        Assert.AreEqual(0, Changed);
    }

    [TestMethod]
    public void A_version_that_another_symbol_needs_too_is_not_made_weak()
    {
        NativeFile.Move(library, Used, Unused);
        Assert.AreNotEqual(0, Changed);
        byte[] moved = [.. library];
        Assert.IsFalse(OlderLibstdcxx.Weaken(library, Unused));
        CollectionAssert.AreEqual(moved, library);
    }

    [TestMethod]
    public void A_file_that_is_cut_off_or_is_no_library_is_left_unchanged()
    {
        foreach (int length in Enumerable.Range(0, 300).Concat(Enumerable.Range(0, 200).Select(i => i * 12_000)))
            Assert.IsFalse(OlderLibstdcxx.Weaken(library.AsSpan(0, length), Unused), $"{length} bytes");
        Assert.AreEqual(0, Changed);
        Assert.IsFalse(OlderLibstdcxx.Weaken("no library"u8.ToArray(), Unused));
    }

    [TestMethod]
    public void In_a_damaged_library_at_most_one_byte_changes()
    {
        var random = new Random(1);
        Range[] parts = NativeFile.Parts(original);
        int refused = 0;
        for (int i = 0; i < 2_000; i++)
        {
            original.CopyTo(library, 0);
            Span<byte> part = library.AsSpan(parts[i % parts.Length]);
            part[random.Next(part.Length)] = (byte)random.Next(256);
            part[random.Next(Math.Min(part.Length, 100))] = (byte)random.Next(256);
            byte[] damaged = [.. library];
            if (!OlderLibstdcxx.Weaken(library, Unused))
                refused++;
            int at = damaged.AsSpan().CommonPrefixLength(library);
            Assert.IsTrue(at == library.Length || damaged.AsSpan(at + 1).SequenceEqual(library.AsSpan(at + 1)));
        }
        Assert.IsGreaterThan(100, refused);
        Assert.IsLessThan(1_900, refused);
    }
}
