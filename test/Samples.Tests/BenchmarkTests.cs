namespace Samples.Tests;

[TestClass]
public class BenchmarkTests
{
    [TestMethod]
    public void It_lists_the_tables_that_the_readme_names()
    {
        string folder = Path.Combine(
            DotNetBuild.Root, "test", "Benchmarks", "bin", DotNetBuild.Configuration, "net10.0");
        string list = DotNetBuild.Execute(
            ["exec", Path.Combine(folder, "Microsoft.ML.BatchNorm.Benchmarks.dll"), "--list"]);
        foreach (string table in (string[])["training", "serving", "threads", "normalization", "fit", "transform"])
            StringAssert.Contains(list, table);
    }
}
