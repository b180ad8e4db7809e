namespace Samples.Tests;

[TestClass]
public class BenchmarkTests
{
    [TestMethod]
    public void It_lists_the_tables_that_the_readme_names()
    {
        string list = List();
        foreach (string table in (string[])["training", "serving", "threads", "normalization", "fit", "transform"])
            StringAssert.Contains(list, table);
    }

    [TestMethod]
    public void Names_of_tables_are_found_in_any_case()
    {
        string list = List("fit");
        Assert.AreNotEqual(List(), list);
        Assert.AreEqual(list, List("Fit"));
    }

    static string List(params string[] words)
    {
        string folder = Path.Combine(
            DotNetBuild.Root, "test", "Benchmarks", "bin", DotNetBuild.Configuration, "net10.0");
        return DotNetBuild.Execute(
            ["exec", Path.Combine(folder, "Microsoft.ML.BatchNorm.Benchmarks.dll"), .. words, "--list"]);
    }
}
