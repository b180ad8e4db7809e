namespace Microsoft.ML.BatchNorm.Training;

/// <summary>
/// Orders of rows from a seed and a number alone, by Fisher and Yates's shuffle on SplitMix64: <see cref="Random"/> may
/// draw other numbers on another runtime, this never does.
/// </summary>
static class RowOrder
{
    /// <param name="rows">Come into an order of their own.</param>
    /// <param name="seed">The seed of the run.</param>
    /// <param name="number">What the order is for, such as an epoch.</param>
    /// <param name="part">Which part of that.</param>
    public static void Shuffle(Span<int> rows, int seed, long number, int part = 0)
    {
        ulong state = RandomNumbers.Mix(RandomNumbers.Mix((uint)seed) + (ulong)number);
        if (part != 0)
            state = RandomNumbers.Mix(state + (ulong)part);
        for (int i = rows.Length - 1; i > 0; i--)
        {
            int other = Below(ref state, (uint)i + 1);
            (rows[i], rows[other]) = (rows[other], rows[i]);
        }
    }

    public static int[] All(int rows)
    {
        int[] order = new int[rows];
        for (int i = 0; i < rows; i++)
            order[i] = i;
        return order;
    }

    /// <summary>A number from 0 to below the bound, all equally likely (Lemire, 2019).</summary>
    static int Below(ref ulong state, uint bound)
    {
        while (true)
        {
            ulong product = (ulong)(uint)(RandomNumbers.Next(ref state) >> 32) * bound;
            if ((uint)product >= bound || (uint)product >= (uint)-(int)bound % bound)
                return (int)(product >> 32);
        }
    }
}
