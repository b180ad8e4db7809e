using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Estimator;

static class Sparse
{
    /// <summary>
    /// The same rows in ML.NET's sparse form, after every slot whose number and row together are divisible by three
    /// became zero, in <paramref name="rows"/> too.
    /// </summary>
    public static VBuffer<float>[] Of(float[][] rows) => [.. rows.Select((row, i) =>
    {
        int[] kept = [.. Enumerable.Range(0, row.Length).Where(slot => (slot + i) % 3 != 0)];
        for (int slot = 0; slot < row.Length; slot++)
            row[slot] = (slot + i) % 3 != 0 ? row[slot] : 0;
        return new VBuffer<float>(row.Length, kept.Length, [.. kept.Select(slot => row[slot])], kept);
    })];
}
