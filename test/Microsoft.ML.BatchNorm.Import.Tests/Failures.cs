namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>What is said of files that cannot be imported.</summary>
static class Failures
{
    /// <summary>The error lists these nodes, and no others.</summary>
    public static void Are(OnnxFile file, params string[] nodes)
    {
        NotSupportedException error = Assert.ThrowsExactly<NotSupportedException>(() => Reference.Load(file.ToBytes()));
        Assert.StartsWith("The file has nodes that cannot be imported: ", error.Message);
        string[] listed = error.Message.Split(": ", 2)[1].Split(". The argument until")[0].Split("; ");
        Assert.HasCount(nodes.Length, listed, error.Message);
        for (int i = 0; i < nodes.Length; i++)
            Assert.StartsWith(nodes[i], listed[i], error.Message);
    }
}
