namespace Microsoft.ML.BatchNorm.Training;

/// <summary>
/// Orders of rows from a seed and a number alone, by Fisher and Yates's shuffle on splitmix64 (Steele, Lea and Flood,
/// 2014): <see cref="Random"/> may draw other numbers on another runtime, this never does.
/// </summary>
static class RowOrder
{
    /// <summary>Apart from every epoch's number.</summary>
    const int SplitNumber = -1;

    public static void Shuffle(Span<int> rows, int seed, long number)
    {
        ulong state = Mix(Mix((uint)seed) + (ulong)number);
        for (int i = rows.Length - 1; i > 0; i--)
        {
            int other = Below(ref state, (uint)i + 1);
            (rows[i], rows[other]) = (rows[other], rows[i]);
        }
    }

    /// <summary>
    /// Two parts of the rows, each in ascending order: those to train on, and a share to validate with.
    /// </summary>
    public static (int[] Training, int[] Validation) Split(int rows, double share, int seed)
    {
        int[] order = All(rows);
        if (share == 0)
            return (order, []);
        if (rows == 1)
            throw new ArgumentException("A single row cannot be split into training and validation.");
        Shuffle(order, seed, SplitNumber);
        int held = Math.Clamp((int)Math.Round(share * rows), 1, rows - 1);
        int[] validation = order[..held], training = order[held..];
        Array.Sort(validation);
        Array.Sort(training);
        return (training, validation);
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
