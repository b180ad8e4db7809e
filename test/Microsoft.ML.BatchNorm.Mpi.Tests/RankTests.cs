namespace Microsoft.ML.BatchNorm.Mpi.Tests;

/// <summary>What ranks do together, by Open MPI, by MPICH, and on two hosts; compared with one process.</summary>
[TestClass]
public class RankTests
{
    static readonly Lazy<BatchNormalizationState> statistics = new(() => RankStatistics.Of(null));

    static readonly Dictionary<string, Lazy<NetworkState>> networks = RankLesson.All.ToDictionary(
        pair => pair.Key, pair => new Lazy<NetworkState>(() => pair.Value.Train(null).State));

    static readonly Dictionary<string, Lazy<NetworkState>> torchNetworks = RankLesson.All.ToDictionary(
        pair => pair.Key, pair => new Lazy<NetworkState>(() => pair.Value.TrainWithTorch(null).State));

    static readonly Dictionary<int, (string Results, string Launcher)> seen = [];

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(4)]
    public void On_Open_MPI_ranks_follow_one_process_with_the_same_bits_on_each(int size) =>
        Check(Launch.OpenMpi(size), size);

    [TestMethod]
    public void On_MPICH_ranks_follow_one_process_with_the_same_bits_on_each() => Check(Launch.Mpich(2), 2);

    [TestMethod]
    public void On_two_hosts_ranks_follow_one_process_with_the_same_bits_on_each()
    {
        _ = Launch.OpenMpi(4);
        using var hosts = new TwoHosts();
        CollectionAssert.AreEquivalent(
            (string[])["first", "first", "second", "second"], Check(hosts.OpenMpi(ranksPerHost: 2), 4));
    }

    /// <summary>Does all work, and returns the machines of the ranks.</summary>
    static string[] Check(Launch launch, int size)
    {
        using var job = new MpiJob();
        RankPipeline.WriteFiles(job.PathOf(""), size);

        Assert.AreEqual(0, job.Run(launch, "all"), job.Output);

        string results = File.ReadAllText(job.PathOf("0.txt"));
        for (int rank = 1; rank < size; rank++)
            Assert.AreEqual(results, File.ReadAllText(job.PathOf($"{rank}.txt")));
        CheckStatistics(job);
        foreach ((string name, RankLesson lesson) in RankLesson.All)
        {
            using FileStream file = File.OpenRead(job.PathOf(name));
            AssertNear(networks[name].Value, Network.Load(file).State, 1e-6);
            using FileStream torch = File.OpenRead(job.PathOf($"{name} by TorchSharp"));
            AssertNear(torchNetworks[name].Value, Network.Load(torch).State, 1e-6);
        }
        CheckPipeline(job, size);
        CheckOtherMpi(size, results, launch.Command[0]);
        return job.Machines();
    }

    static void CheckStatistics(MpiJob job)
    {
        using FileStream file = File.OpenRead(job.PathOf("statistics"));
        BatchNormalizationState ranks = BatchNormalizationState.Load(file).State, one = statistics.Value;
        for (int c = 0; c < one.Channels; c++)
        {
            Assert.AreEqual(1_000_000, ranks.GetPopulation()!.Count[c]);
            Assert.AreEqual(one.MovingMean[c], ranks.MovingMean[c], 1e-12 * Math.Abs(one.MovingMean[c]));
            Assert.AreEqual(one.MovingVariance[c], ranks.MovingVariance[c], 1e-12 * one.MovingVariance[c]);
        }
    }

    /// <summary>The pipeline on as many ranks that are threads.</summary>
    static void CheckPipeline(MpiJob job, int size)
    {
        FittedPipeline threads = ThreadCollective.Run(size, ranks => RankPipeline.Fit(ranks, job.PathOf("")))[0];
        using FileStream file = File.OpenRead(job.PathOf("pipeline"));
        BatchNormalizationState layer = BatchNormalizationState.Load(file).State;
        Assert.AreEqual(threads.Layer, layer);
        AssertNear(threads.Network, Network.Load(file).State, 1e-6);
    }

    /// <summary>The bits of the statistics do not depend on the MPI, nor on the hosts.</summary>
    static void CheckOtherMpi(int size, string results, string launcher)
    {
        if (seen.TryGetValue(size, out (string Results, string Launcher) other))
            Assert.AreEqual(Statistics(other.Results), Statistics(results), $"{launcher} and {other.Launcher}");
        seen[size] = (results, launcher);

        static string Statistics(string results) =>
            results.Split('\n').Single(line => line.StartsWith("statistics: ", StringComparison.Ordinal));
    }

    /// <summary>Every parameter and statistic agrees, in units of the greatest value of its tensor or of 1.</summary>
    internal static void AssertNear(NetworkState expected, NetworkState actual, double tolerance)
    {
        foreach (string path in expected.Paths)
        {
            LayerState one = expected[path], other = actual[path];
            Agreement.Within(tolerance, Sample.Widen(one.Kernel), other.Kernel, $"{path} kernel");
            Agreement.Within(tolerance, Sample.Widen(one.Bias), other.Bias, $"{path} bias");
            if (one.BatchNormalization is not { } layer)
                continue;
            BatchNormalizationState same = other.BatchNormalization!;
            Agreement.Within(tolerance, Sample.Widen(layer.Gamma), same.Gamma, $"{path} gamma");
            Agreement.Within(tolerance, Sample.Widen(layer.Beta), same.Beta, $"{path} beta");
            Agreement.Within(tolerance, layer.MovingMean, same.MovingMean, $"{path} mean");
            Agreement.Within(tolerance, layer.MovingVariance, same.MovingVariance, $"{path} variance");
        }
    }
}
