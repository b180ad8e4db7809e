using Microsoft.ML.BatchNorm.Benchmarks;

(string Name, int Rows, int Columns)[] shapes =
    [("1,000,000x64", 1_000_000, 64), ("100,000x512", 100_000, 512), ("2,000,000x16", 2_000_000, 16)];
Comparison.Filter = args.Length > 0 ? args[0] : "";
Console.WriteLine("ML.NET: the reference is NormalizeMeanVariance on the same data view; GB/s of input.");
foreach ((string name, int rows, int columns) in shapes)
{
    var shape = new Shape(name, rows, columns);
    shape.Fit();
    shape.Transform();
    shape.Drift();
}
new Shape("1,797x64", 1797, 64).Drift();
new Shape("30,000x64", 30_000, 64).Drift();
Prediction.Compare(features: 64);
Prediction.Compare(features: 12);
