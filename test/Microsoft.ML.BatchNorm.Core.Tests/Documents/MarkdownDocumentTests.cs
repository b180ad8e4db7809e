namespace Microsoft.ML.BatchNorm.Tests.Documents;

[TestClass]
public class MarkdownDocumentTests
{
    static readonly string[] lines =
    [
        "Text.", "", "```csharp", "int a = 1;", "```", "", "```text", "1", "```", "<!-- continued -->", "```csharp",
        "a++;", "```", "<!-- setup", "int b = 2;", "-->", "```csharp", "b++;", "```", "<!-- file: A.cs -->",
        "```csharp", "class A;", "```", "```", "dotnet build", "```",
    ];

    static readonly List<CodeBlock> blocks = MarkdownDocument.Parse("a.md", lines);

    [TestMethod]
    public void A_block_knows_its_line_its_language_and_what_it_prints()
    {
        Assert.AreEqual(new CodeBlock("a.md", 4, "csharp", "int a = 1;") { Output = "1" }, blocks[0]);
        Assert.AreEqual(new CodeBlock("a.md", 25, "", "dotnet build"), blocks[^1]);
    }

    [TestMethod]
    public void A_comment_says_that_a_block_goes_on_has_a_setup_or_is_a_file()
    {
        Assert.IsTrue(blocks[1].IsContinued);
        Assert.AreEqual("int b = 2;", blocks[2].Setup);
        Assert.AreEqual("A.cs", blocks[3].FileName);
    }

    [TestMethod]
    public void Blocks_that_go_on_are_of_one_chain_and_files_of_none() => CollectionAssert.AreEqual(
        new[] { "a.md:4", "a.md:18" }, BlockChain.Of(blocks).ConvertAll(chain => chain.Name));

    [TestMethod]
    public void A_comment_that_is_not_known_is_an_error() => Assert.ThrowsExactly<InvalidDataException>(
        () => MarkdownDocument.Parse("a.md", ["<!-- continues -->", "```csharp", "```"]));

    [TestMethod]
    public void A_comment_with_text_between_it_and_a_block_is_not_the_block_s() =>
        Assert.IsFalse(MarkdownDocument.Parse("a.md", ["<!-- continued -->", "x", "```csharp", "```"])[0].IsContinued);

    [TestMethod]
    public void The_documents_have_code_with_ML_NET_and_without()
    {
        Assert.AreNotEqual(0, BlockLibrary.Chains(BlockNeed.None).Count);
        Assert.AreNotEqual(0, BlockLibrary.Chains(BlockNeed.ML).Count);
    }
}
