namespace Microsoft.ML.BatchNorm.Training;

/// <summary>
/// Orders of rows from a seed and a number alone, by Fisher and Yates's shuffle on splitmix64 (Steele, Lea and Flood,
/// 2014): <see cref="Random"/> may draw other numbers on another runtime, this never does.
/// </summary>
static class RowOrder
{
    /// <param name="rows">Come into an order of their own.</param>
    /// <param name="seed">The seed of the run.</param>
    /// <param name="number">What the order is for, such as an epoch.</param>
    /// <param name="part">Which part of that.</param>
    public static void Shuffle(Span<int> rows, int seed, long number, int part = 0)
    {
        ulong state = Mix(Mix((uint)seed) + (ulong)number);
        if (part != 0)
            state = Mix(state + (ulong)part);
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
            ulong product = (ulong)(uint)(Next(ref state) >> 32) * bound;
            if ((uint)product >= bound || (uint)product >= (uint)-(int)bound % bound)
                return (int)(product >> 32);
        }
    }

    static ulong Next(ref ulong state) => Mix(state += 0x9E3779B97F4A7C15);

    static ulong Mix(ulong z)
    {
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return z ^ z >> 31;
    }
}
