namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>What lays matrices out for products, beside a copy.</summary>
static class PackingTable
{
    static readonly (int Batch, int Inputs, int Outputs)[] Layers =
        [(32, 64, 64), (256, 64, 128), (256, 784, 512), (256, 256, 10)];

    public static Table Make() => new(
        "packing", "Laying a matrix out for a product, beside a copy of its values.",
        Unit.Microseconds, ["a copy"], Comparisons());

    static IEnumerable<Comparison> Comparisons()
    {
        foreach ((int batch, int inputs, int outputs) in Layers)
        {
            var layer = new Lazy<DenseProducts>(() => new DenseProducts(batch, inputs, outputs));
            string name = $"{inputs}-{outputs} by {batch}";
            yield return Line("weights", inputs * outputs, products => products.Pack);
            yield return Line("weights, transposed", inputs * outputs, products => products.PackTransposed);
            yield return Line("gradient", batch * outputs, products => products.PackGradient);

            Comparison Line(string what, int values, Func<DenseProducts, Action> work) => new($"{name} {what}", () =>
            {
                float[] from = new float[values], to = new float[values];
                return new Contest(1, work(layer.Value)).Against(() => from.AsSpan().CopyTo(to));
            });
        }
    }
}
