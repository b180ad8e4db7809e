using Microsoft.ML.BatchNorm.Benchmarks;

Func<Workload>[] workloads =
[
    () => new Workload("1,000,000x64", [1_000_000, 64], -1, 256, 4096),
    () => new Workload("100,000x512", [100_000, 512], -1, 256, 4096),
    () => new Workload("2,000,000x16", [2_000_000, 16], -1, 256, 4096),
    () => new Workload("64x64x56x56", [64, 64, 56, 56], 1, 64),
];
Comparison.Filter = args.Length > 0 ? args[0] : "";
Console.WriteLine("One thread; the peak is a loop of fused multiply-adds alone.");
SinglePredictions.Print();
ProductTable.Print();
Console.WriteLine("One thread; the reference is a copy of the same bytes with Span.CopyTo.");
foreach (Func<Workload> make in workloads)
{
    Workload work = make();
    Comparison.Print($"inference {work.Name}", 2 * work.Bytes, work.Infer, work.Copy);
    Comparison.Print($"statistics {work.Name}", work.Bytes, work.Statistics, work.Copy);
    foreach (int rows in work.Batches)
    {
        Comparison.Print($"training {work.Name} by {rows}", 2 * work.Bytes, () => work.Train(rows, false), work.Copy);
        if (rows < work.Rows)
        {
            Comparison.Print(
                $"training {work.Name} by {rows}, outputs kept", 2 * work.Bytes, () => work.Train(rows, true),
                work.Copy);
        }
    }
}
TrainingTable.Print();
ImageTable.Print();
Console.WriteLine("ML.NET: the reference is NormalizeMeanVariance on the same data view; GB/s of input.");
foreach ((string name, int rows, int columns) in ((string, int, int)[])
    [("1,000,000x64", 1_000_000, 64), ("100,000x512", 100_000, 512), ("2,000,000x16", 2_000_000, 16)])
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
