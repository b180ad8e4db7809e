using System.Text.RegularExpressions;

namespace Microsoft.ML.BatchNorm.Mpi.Tests;

/// <summary>The sample Distributed, from its own folder.</summary>
[TestClass]
public class SampleTests
{
    [TestMethod]
    public void On_four_ranks_it_shows_one_network_that_tells_96_of_100_digits() => Check(Launch.OpenMpi(4), 4);

    [TestMethod]
    public void Alone_it_does_so_as_one_rank() => Check(new Launch([]), 1);

    static void Check(Launch launch, int ranks)
    {
        using var job = new MpiJob();
        string program = Path.Combine(
            DotNetBuild.Root, "src", "Samples", "Distributed", "bin", DotNetBuild.Configuration, "net10.0",
            "Distributed.dll");

        Assert.AreEqual(0, job.Execute([.. launch.Command, .. MpiJob.DotNet(program)]), job.Output);

        Match[] rows = Regex.Matches(
            job.Output, @"^ *(\d) +(\d+|1,437) +([0-9A-F]{16}) *\r?$", RegexOptions.Multiline).ToArray();
        Assert.HasCount(ranks, rows, job.Output);
        Assert.HasCount(1, rows.Select(row => row.Groups[3].Value).Distinct());
        Assert.AreEqual(1437, rows.Sum(row => int.Parse(row.Groups[2].Value.Replace(",", ""))));
        double accuracy = double.Parse(Regex.Match(job.Output, @"tells ([0-9.]+) ?% of").Groups[1].Value);
        Assert.IsGreaterThan(96, accuracy);
    }
}
