using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Tests.Collectives;

[TestClass]
public class ThreadCollectiveTests
{
    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(4)]
    public void Every_rank_gets_the_bytes_of_all_in_the_order_of_the_ranks(int size)
    {
        byte[][] all = ThreadCollective.Run(size, ranks =>
        {
            Assert.AreEqual(size, ranks.Size);
            byte[] gathered = new byte[2 * size];
            ranks.Gather([(byte)ranks.Rank, (byte)(10 + ranks.Rank)], gathered);
            return gathered;
        });

        byte[] expected = [.. Enumerable.Range(0, size).SelectMany(rank => new[] { (byte)rank, (byte)(10 + rank) })];
        foreach (byte[] gathered in all)
            CollectionAssert.AreEqual(expected, gathered);
    }

    [TestMethod]
    public void Sums_have_the_same_bits_on_every_rank_and_each_time()
    {
        float[] floats = Sample.Floats(4 * 1000, 1);
        byte[][] first = ThreadCollective.Run(4, Sums), second = ThreadCollective.Run(4, Sums);

        for (int rank = 0; rank < 4; rank++)
        {
            CollectionAssert.AreEqual(first[0], first[rank]);
            CollectionAssert.AreEqual(first[0], second[rank]);
        }
        ReadOnlySpan<double> sums = MemoryMarshal.Cast<byte, double>(first[0].AsSpan(4000));
        for (int i = 0; i < 1000; i++)
        {
            double expected = floats[i] + (double)floats[1000 + i] + floats[2000 + i] + floats[3000 + i];
            Assert.AreEqual(expected, sums[i], 1e-15 * Math.Max(1, Math.Abs(expected)) * 4);
        }

        byte[] Sums(ICollective ranks)
        {
            float[] single = floats[(ranks.Rank * 1000)..((ranks.Rank + 1) * 1000)];
            double[] wide = Sample.Widen(single);
            ranks.Sum(single);
            ranks.Sum(wide);
            return [.. MemoryMarshal.AsBytes<float>(single), .. MemoryMarshal.AsBytes<double>(wide)];
        }
    }

    [TestMethod]
    public void The_bytes_of_one_rank_replace_those_of_the_others()
    {
        byte[][] all = ThreadCollective.Run(3, ranks =>
        {
            byte[] values = [(byte)ranks.Rank, 7];
            ranks.Broadcast(values, 2);
            return values;
        });

        foreach (byte[] values in all)
            CollectionAssert.AreEqual(new byte[] { 2, 7 }, values);
    }

    [TestMethod]
    public void An_exception_on_one_rank_ends_the_others_and_is_what_the_job_throws()
    {
        InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(() => ThreadCollective.Run(3, ranks =>
        {
            if (ranks.Rank == 1)
                throw new InvalidDataException("of rank 1");
            ranks.Sum(new double[1]);
            return 0;
        }));

        Assert.AreEqual("of rank 1", error.Message);
    }

    [TestMethod]
    public void A_rank_can_end_the_job_for_a_reason()
    {
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => ThreadCollective.Run(3, ranks =>
        {
            if (ranks.Rank == 2)
                ranks.Abort("there is no more paper");
            ranks.Sum(new double[1]);
            return 0;
        }));

        Assert.AreEqual("Rank 2 ended the job: there is no more paper", error.Message);
    }

    [TestMethod]
    public void A_call_from_another_thread_is_an_error_as_it_is_with_MPI()
    {
        double[] sums = ThreadCollective.Run(2, ranks =>
        {
            Exception? error = null;
            var thread = new Thread(() => error = Caught(() => ranks.Sum(new double[1])));
            thread.Start();
            thread.Join();
            Assert.Contains("come from one thread", error?.Message ?? "");
            double[] own = [1 + ranks.Rank];
            ranks.Sum(own);
            return own[0];
        });

        CollectionAssert.AreEqual(new double[] { 3, 3 }, sums);

        static Exception? Caught(Action work)
        {
            try
            {
                work();
                return null;
            }
            catch (InvalidOperationException error)
            {
                return error;
            }
        }
    }

    [TestMethod]
    public void Calls_that_do_not_match_are_an_error_instead_of_a_wait()
    {
        AssertFails("do not match", ranks => ranks.Sum(new double[1 + ranks.Rank]));
        AssertFails("do not match", ranks =>
        {
            if (ranks.Rank == 0)
                ranks.Sum(new double[2]);
            else
                ranks.Sum(new float[4]);
        });
        AssertFails("at their end", ranks =>
        {
            if (ranks.Rank == 0)
                ranks.Sum(new double[2]);
        }, "at its end");

        static void AssertFails(string expected, Action<ICollective> program, string? otherwise = null)
        {
            InvalidOperationException error = Assert.Throws<InvalidOperationException>(
                () => ThreadCollective.Run(2, ranks =>
                {
                    program(ranks);
                    return 0;
                }));
            Assert.IsTrue(
                error.Message.Contains(expected, StringComparison.Ordinal)
                || (otherwise is not null && error.Message.Contains(otherwise, StringComparison.Ordinal)),
                error.Message);
        }
    }
}
