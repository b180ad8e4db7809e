namespace Microsoft.ML.BatchNorm;

/// <summary>
/// p-values corrected for their number: rejecting those up to α rejects any true hypothesis with probability α at most,
/// whatever their dependence (Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979).
/// </summary>
static class HolmCorrection
{
    /// <summary>Corrects those of the tests that were made, in place.</summary>
    public static void Apply(Span<double> pValues, ReadOnlySpan<bool> made)
    {
        int[] order = new int[pValues.Length];
        int tests = 0;
        for (int i = 0; i < made.Length; i++)
        {
            if (made[i])
                order[tests++] = i;
        }
        double[] keys = new double[tests];
        for (int i = 0; i < tests; i++)
            keys[i] = pValues[order[i]];
        Array.Sort(keys, order, 0, tests);
        double least = 0;
        for (int i = 0; i < tests; i++)
        {
            least = Math.Max(least, Math.Min(1, (tests - i) * keys[i]));
            pValues[order[i]] = least;
        }
    }
}
