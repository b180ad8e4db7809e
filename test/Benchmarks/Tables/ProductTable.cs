namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// The products of dense networks beside <see cref="ProcessorPeak"/>. What limits them, at two multiply-adds of 16
/// lanes a cycle with a latency of 4 cycles, two loads and one store of a vector: the lanes that n columns leave empty
/// (10 of 16 used: 62 %, 3: 19 %); a tile's way in and out, some 50 cycles beside k·rows; a single row's chains of k
/// sums, 4·k cycles where up to 128 columns run at once.
/// </summary>
static class ProductTable
{
    static readonly (int Batch, int[] Widths)[] Networks =
        [(32, [4, 64, 64, 3]), (256, [64, 128, 64, 10]), (256, [784, 512, 256, 10])];

    public static Table Make() => new(
        "products",
        "Matrix products of dense layers on one thread. The peak is a loop of fused multiply-adds alone.",
        Unit.GigaflopsPerSecond, ["peak"], Comparisons());

    static IEnumerable<Comparison> Comparisons()
    {
        foreach ((int batch, int[] widths) in Networks)
        {
            for (int i = 0; i + 1 < widths.Length; i++)
            {
                (int inputs, int outputs) = (widths[i], widths[i + 1]);
                var layer = new Lazy<DenseProducts>(() => new DenseProducts(batch, inputs, outputs));
                string name = $"{inputs}-{outputs} by {batch}";
                yield return Line("forward", products => products.Forward);
                yield return Line("input gradient", products => products.InputGradient);
                yield return Line("weight gradient", products => products.WeightGradient);
                if (outputs % 16 == 0)
                {
                    yield return Line("forward, not packed", products => products.ForwardUnpacked);
                    yield return Line("weight gradient, not packed", products => products.WeightGradientUnpacked);
                }
                yield return Line("one row forward", products => products.OneRow, rows: 1);

                Comparison Line(string what, Func<DenseProducts, Action> work, int? rows = null) => new(
                    $"{name} {what}", () => new Contest(
                        layer.Value.Operations * (rows ?? batch) / batch, work(layer.Value))
                        .Against(ProcessorPeak.Run, ProcessorPeak.Operations));
            }
        }
    }
}
