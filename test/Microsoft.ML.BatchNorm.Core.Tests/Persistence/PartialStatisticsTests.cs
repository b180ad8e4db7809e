using System.Text;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>The statistics of shards as records, and their merge.</summary>
[TestClass]
public class PartialStatisticsTests
{
    const int Rows = 20_000, Channels = 8;

    static readonly double[] x = Sample.Doubles(Rows * Channels, 1, 1e6, 1e-2);

    static readonly PartialStatistics[] shards =
    [
        .. Enumerable.Range(0, 10).Select(
            shard => Of($"part-{shard}", x[(shard * x.Length / 10)..((shard + 1) * x.Length / 10)])),
    ];

    [TestMethod]
    public void A_line_and_a_file_give_back_every_bit()
    {
        foreach (PartialStatistics part in shards)
        {
            AssertSame(part, FromLines(Line(part)).Single());
            AssertSame(part, FromFile(File(part)));
        }
    }

    [TestMethod]
    public void Lines_of_shards_follow_one_another_and_empty_lines_are_skipped()
    {
        byte[] bytes = [.. "\n"u8, .. shards.SelectMany(part => Line(part).Concat("\r\n"u8.ToArray()))];
        PartialStatistics[] read = [.. PartialStatistics.LoadLines(new TrickleStream(bytes, 3))];

        Assert.HasCount(shards.Length, read);
        for (int i = 0; i < read.Length; i++)
            AssertSame(shards[i], read[i]);
    }

    [TestMethod]
    public void A_line_has_the_documented_members()
    {
        var part = new PartialStatistics(
            "7", new BatchStatistics([3, 0], [0.5, 0], [2, 0], [1e-18, 0], [1e-17, 0]));

        const string Expected = "{\"format\":\"batchnorm.partial/1\",\"shard\":\"7\",\"count\":[3,0],\"mean\":[0.5,0],"
            + "\"mean_rest\":[1E-18,0],\"m2\":[2,0],\"m2_rest\":[1E-17,0]}\n";
        Assert.AreEqual(Expected, Encoding.UTF8.GetString(Line(part)));
    }

    [TestMethod]
    public void Merged_in_any_order_they_are_the_exact_statistics_to_the_same_bits()
    {
        ExactMoments exact = ExactMoments.Of(x, Channels, 1_000_000, 33);
        BatchStatistics merged = PartialStatistics.Merge(shards);
        BatchStatistics other = PartialStatistics.Merge(
            shards.Reverse().SelectMany(part => FromLines(Line(FromFile(File(part))))));

        exact.AssertClose(1e-14, merged);
        AssertSame(new("", merged), new("", other));
        CollectionAssert.AreEqual(
            Enumerable.Repeat((double)Rows, Channels).ToArray(), merged.Count.ToArray());
    }

    [TestMethod]
    public void A_shard_that_comes_twice_is_an_error()
    {
        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(
            () => PartialStatistics.Merge([.. shards, shards[3]]));

        Assert.Contains("two records of shard \"part-3\"", error.Message);
        Assert.Contains("no statistics", Assert.ThrowsExactly<ArgumentException>(
            () => PartialStatistics.Merge([])).Message);
        Assert.Contains("shard \"other\" has 1", Assert.ThrowsExactly<ArgumentException>(
            () => PartialStatistics.Merge([shards[0], new("other", new BatchStatistics(1))])).Message);
    }

    [TestMethod]
    public void A_key_may_be_a_number_and_rests_may_be_missing()
    {
        PartialStatistics read = FromLines(
            """{"format": "batchnorm.partial/1", "shard": 12, "count": [2.0], "mean": [5e-1], "m2": [3]}"""u8.ToArray())
            .Single();

        AssertSame(new("12", new BatchStatistics([2], [0.5], [3])), read);
        Assert.Contains("two records of shard \"12\"", Assert.ThrowsExactly<ArgumentException>(
            () => PartialStatistics.Merge([read, new("12", new BatchStatistics(1))])).Message);
    }

    [TestMethod]
    [DataRow("3", "3.0")]
    [DataRow("3", "0.3e1")]
    [DataRow("3", "\"3\"")]
    [DataRow("0", "-0.0")]
    [DataRow("2.5", "25e-1")]
    public void One_number_is_one_key_however_it_is_written(string first, string second)
    {
        PartialStatistics[] read = [.. FromLines(Encoding.UTF8.GetBytes($"{Line(first)}\n{Line(second)}\n"))];

        Assert.Contains("two records", Assert.ThrowsExactly<ArgumentException>(
            () => PartialStatistics.Merge(read)).Message);

        static string Line(string key) =>
            $$"""{"format": "batchnorm.partial/1", "shard": {{key}}, "count": [2], "mean": [1], "m2": [3]}""";
    }

    [TestMethod]
    public void Keys_that_no_double_can_hold_stay_apart()
    {
        PartialStatistics[] read =
        [
            .. FromLines("""
                {"format": "batchnorm.partial/1", "shard": 12345678901234567890123, "count": [2], "mean": [1], "m2": [3]}
                {"format": "batchnorm.partial/1", "shard": 12345678901234567890124, "count": [2], "mean": [1], "m2": [3]}
                """u8.ToArray()),
        ];

        Assert.AreEqual(4, PartialStatistics.Merge(read).Count[0]);
    }

    [TestMethod]
    public void A_byte_order_mark_before_the_first_line_is_skipped()
    {
        byte[] bytes = [.. Encoding.UTF8.Preamble, .. Line(shards[0]), .. Line(shards[1])];

        Assert.HasCount(2, FromLines(bytes));
        Assert.IsEmpty(FromLines([.. Encoding.UTF8.Preamble]));
        Assert.StartsWith("Line 2: ", Assert.ThrowsExactly<InvalidDataException>(
            () => FromLines([.. Line(shards[0]), .. bytes])).Message);
    }

    [TestMethod]
    public void Shards_whose_merged_variance_is_beyond_a_double_are_an_error()
    {
        PartialStatistics[] far = [.. ((double[])[1e308, -1e308, 0]).Select((mean, shard) =>
            new PartialStatistics($"{shard}", new BatchStatistics([2, 2], [0, mean], [1, 1])))];

        Assert.Contains("channel 1", Assert.ThrowsExactly<InvalidDataException>(
            () => PartialStatistics.Merge(far)).Message);
    }

    [TestMethod]
    [DataRow("""{"format": "batchnorm.partial/2", "shard": 1, "count": [1], "mean": [0], "m2": [0]}""", "partial/2")]
    [DataRow("""{"shard": 1, "count": [1], "mean": [0], "m2": [0]}""", "format")]
    [DataRow("""{@, "count": [1], "mean": [0], "m2": [0]}""", "shard")]
    [DataRow("""{@, "shard": true, "count": [1], "mean": [0], "m2": [0]}""", "shard")]
    [DataRow("""{@, "shard": 1, "mean": [0], "m2": [0]}""", "no \"count\"")]
    [DataRow("""{@, "shard": 1, "count": [1], "m2": [0]}""", "no \"mean\"")]
    [DataRow("""{@, "shard": 1, "count": [], "mean": [], "m2": []}""", "channels")]
    [DataRow("""{@, "shard": 1, "count": [1.5], "mean": [0], "m2": [0]}""", "whole number")]
    [DataRow("""{@, "shard": 1, "count": [-1], "mean": [0], "m2": [0]}""", "negative")]
    [DataRow("""{@, "shard": 1, "count": [1], "mean": [1e999], "m2": [0]}""", "finite")]
    [DataRow("""{@, "shard": 1, "count": [1], "mean": [0], "m2": [-1]}""", "negative")]
    [DataRow("""{@, "shard": 1, "count": [1], "mean": [0, 1], "m2": [0]}""", "2 values")]
    [DataRow("""{@, "shard": 1, "count": [1], "mean": [1], "mean_rest": [1], "m2": [0]}""", "last digit")]
    [DataRow("""{@, "shard": 1, "count": [1], "mean": [1], "mean_rset": [0], "m2": [0]}""", "mean_rset")]
    [DataRow("""{@, "shard": 1, "shard": 2, "count": [1], "mean": [1], "m2": [0]}""", "shard")]
    [DataRow("""{@, "shard": 1, "count": null, "mean": [1], "m2": [0]}""", "count")]
    [DataRow("""{@, "shard": 1, "count": [1], "mean": [NaN], "m2": [0]}""", "JSON")]
    [DataRow("""{@, "shard": 1, "count": [1], "mean": [0], "m2": [0]} x""", "JSON")]
    [DataRow("""{@, "shard": 1, "count": [1e308], "mean": [0], "m2": [0]}""", "whole number")]
    [DataRow("""{@, "shard": "", "count": [1], "mean": [0]}""", "no \"m2\"")]
    [DataRow("""[1]""", "JSON")]
    [DataRow("""null""", "null")]
    [DataRow("""{"format": """, "JSON")]
    public void A_wrong_line_is_an_error_with_its_number(string line, string expected)
    {
        byte[] bytes = [.. Line(shards[0]), .. Encoding.UTF8.GetBytes(line.Replace("@", "\"format\": \"batchnorm.partial/1\"")), 10];

        InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(() => FromLines(bytes));

        Assert.StartsWith("Line 2: ", error.Message);
        Assert.Contains(expected, error.Message);
    }

    [TestMethod]
    public void Damage_of_a_file_is_noticed()
    {
        byte[] bytes = File(new("a", new BatchStatistics([3, 2], [0.5, 1], [2, 1], [1e-18, 0], [1e-17, 0])));

        Damage.EveryTruncationIsInvalid(bytes, FromFile);
        Damage.EveryFlippedBitIsInvalid(bytes, FromFile);
    }

    [TestMethod]
    public void Mutated_lines_are_refused_or_read_within_bounds_of_memory()
    {
        string line = Encoding.UTF8.GetString(Line(shards[0]));
        var random = new Random(1);
        int refused = 0;
        for (int i = 0; i < 2000; i++)
        {
            string mutated = i % 2 == 0 ? Damage.MutateJson(line, random) : Damage.MutateValue(line, random);
            if (Damage.TryLoad(Encoding.UTF8.GetBytes(mutated), bytes => FromLines(bytes), ofEach: 64) is null)
                refused++;
        }
        Assert.IsGreaterThan(1000, refused);
    }

    [TestMethod]
    public void Truncated_lines_are_refused()
    {
        byte[] line = Line(shards[0]);
        for (int length = 1; length < line.Length - 1; length++)
        {
            byte[] cut = line[..length];
            Assert.ThrowsExactly<InvalidDataException>(() => FromLines(cut), $"{length}");
        }
    }

    [TestMethod]
    public void A_line_without_end_is_refused_before_it_fills_the_memory()
    {
        InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(
            () => PartialStatistics.LoadLines(new EndlessStream()).Count());

        Assert.Contains("safetensors", error.Message);
    }

    [TestMethod]
    public void A_file_of_another_kind_says_what_reads_it()
    {
        using var stream = new MemoryStream(File(shards[0]));

        Assert.Contains("PartialStatistics.Load reads it", Assert.ThrowsExactly<InvalidDataException>(
            () => BatchNormalizationState.Load(stream)).Message);
    }

    [TestMethod]
    public void Statistics_that_are_not_finite_are_not_written()
    {
        var statistics = new BatchStatistics([1, double.NaN, 0, 0, 0]);
        using var stream = new MemoryStream();

        Assert.ThrowsExactly<InvalidOperationException>(() => new PartialStatistics("a", statistics).Save(stream));
        Assert.ThrowsExactly<InvalidOperationException>(() => new PartialStatistics("a", statistics).SaveLine(stream));
        Assert.AreEqual(0, stream.Length);
    }

    static PartialStatistics Of(string shard, double[] values)
    {
        var statistics = new BatchStatistics(Channels);
        statistics.Add(new ChannelLayout([values.Length / Channels, Channels], 1), values);
        return new PartialStatistics(shard, statistics);
    }

    static byte[] Line(PartialStatistics part)
    {
        using var stream = new MemoryStream();
        part.SaveLine(stream);
        return stream.ToArray();
    }

    static byte[] File(PartialStatistics part)
    {
        using var stream = new MemoryStream();
        part.Save(stream);
        return stream.ToArray();
    }

    static PartialStatistics[] FromLines(byte[] bytes) => [.. PartialStatistics.LoadLines(new MemoryStream(bytes))];

    static PartialStatistics FromFile(byte[] bytes) => PartialStatistics.Load(new MemoryStream(bytes));

    static void AssertSame(PartialStatistics expected, PartialStatistics actual)
    {
        Assert.AreEqual(expected.Shard, actual.Shard);
        Agreement.SameBits(expected.Statistics.Packed, actual.Statistics.Packed);
    }

    sealed class EndlessStream : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get; set; }

        public override int Read(byte[] buffer, int offset, int count)
        {
            buffer.AsSpan(offset, count).Fill((byte)' ');
            return count;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
