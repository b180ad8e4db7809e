using Microsoft.ML.BatchNorm.Tests.Training;

namespace Microsoft.ML.BatchNorm.Tests.Collectives;

[TestClass]
public class RowSharesTests
{
    [TestMethod]
    [DataRow(1, 12)]
    [DataRow(2, 13)]
    [DataRow(3, 14)]
    [DataRow(4, 5)]
    public void Shares_that_were_cut_have_the_numbers_of_the_whole(int size, int rows)
    {
        TrainingData whole = Runs.Data(rows);

        ThreadCollective.Run(size, ranks =>
        {
            TrainingData share = whole.Share(ranks);
            var shares = new RowShares(ranks.Rank, ranks.Gather(share.Rows));
            Assert.AreEqual(rows, shares.Total);
            for (int index = 0; index < share.Rows; index++)
            {
                int number = index * size + ranks.Rank;
                Assert.AreEqual(number, shares.NumberOf(index));
                Assert.AreEqual(index, shares.IndexOf(number));
                CollectionAssert.AreEqual(
                    whole.Features.Slice(number * 2, 2).ToArray(), share.Features.Slice(index * 2, 2).ToArray());
            }
            return 0;
        });
    }

    [TestMethod]
    [DataRow(3, 0, 5, 1)]
    [DataRow(1, 1, 1, 1)]
    [DataRow(4, 9, 2, 9)]
    [DataRow(0, 7, 0, 2)]
    public void Every_number_is_one_row_of_one_rank(params int[] counts)
    {
        RowShares[] shares = [.. counts.Select((_, rank) => new RowShares(rank, counts))];
        int[] seen = new int[counts.Length];

        for (int number = 0; number < counts.Sum(); number++)
        {
            int[] owners = [.. Enumerable.Range(0, counts.Length).Where(rank => shares[rank].IndexOf(number) >= 0)];
            Assert.HasCount(1, owners);
            int owner = owners[0];
            Assert.AreEqual(seen[owner], shares[owner].IndexOf(number), "Rows of a rank are in their order.");
            Assert.AreEqual(number, shares[owner].NumberOf(seen[owner]++));
        }
        CollectionAssert.AreEqual(counts, seen);
    }

    [TestMethod]
    public void There_are_no_more_rows_than_a_run_can_have() => Assert.Contains(
        "2147483648", Assert.ThrowsExactly<ArgumentException>(() => new RowShares(0, [int.MaxValue, 1])).Message);

    [TestMethod]
    public void Fewer_rows_than_ranks_are_an_error() => Assert.Contains(
        "2 rows for 3 ranks",
        Assert.Throws<ArgumentException>(() => ThreadCollective.Run(3, ranks => Runs.Data(2).Share(ranks))).Message);

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(4)]
    public void The_checksum_of_shares_is_that_of_the_whole_in_memory_and_from_a_source(int size)
    {
        float[] weights = [.. Enumerable.Range(0, 1003).Select(row => row % 7 / 2f)];
        var whole = new TrainingData(1003, Sample.Floats(3 * 1003, 1), Sample.Floats(2 * 1003, 2), weights);
        var source = new TrainingData(new Copied(whole));
        uint expected = RowChecksum.Of(null, (whole, null), (null, null));

        ThreadCollective.Run(size, ranks =>
        {
            foreach (TrainingData data in new[] { whole, source })
            {
                TrainingData share = data.Share(ranks);
                ICollective? several = ranks.IfSeveral();
                RowShares? shares = RankAgreement.SharesOf(several, share, null).Training;
                share.Inspect(() => { }, shares);
                Assert.AreEqual(expected, RowChecksum.Of(several, (share, shares), (null, null)));
            }
            return 0;
        });
    }

    sealed class Copied(TrainingData data) : ITrainingRows
    {
        public int Rows => data.Rows;

        public int FeaturesPerRow => data.FeaturesPerRow;

        public int TargetsPerRow => data.TargetsPerRow;

        public bool HasWeights => data.HasWeights;

        public void Read(ReadOnlySpan<int> rows, Span<float> features, Span<float> targets, Span<float> weights) =>
            data.Read(rows, features, targets, weights);
    }
}
