using Microsoft.ML.BatchNorm.Benchmarks;
using Microsoft.ML.BatchNorm.Mpi;

if (args is [var only] && only.Equals("ranks", StringComparison.OrdinalIgnoreCase))
{
    Mpi.Run(args, RankBenchmark.Run);
    return 0;
}
if (args is ["defaults", .. string[] rest])
    return DefaultsBenchmark.Run(rest);
if (Request.Of(args) is not { } request)
{
    Console.WriteLine(Request.Help);
    return args is ["--help"] or ["-h"] ? 0 : 1;
}
if (request.Device is not null && Libtorch.ProblemOf(request.Device) is { Length: > 0 } problem)
{
    Console.WriteLine(problem);
    return 1;
}
string device = request.Device ?? Libtorch.Device;
Table[] tables =
[
    TrainingTable.Make(), ServingTable.Make(), NormalizationTable.Make(), FitTable.Make(), TransformTable.Make(),
    PredictionTable.Make(), DriftTable.Make(), ThreadTable.Make(), RecomputationTable.Make(), ProductTable.Make(),
    PackingTable.Make(), TorchTrainingTable.Make(device), TorchNormalizationTable.Make(device),
];
Table[] chosen = request.Choose(tables);
if (chosen.Length == 0)
    Console.WriteLine($"No comparison has '{string.Join("' and '", request.Words)}' in its name. There are:");
if (chosen.Length == 0 || request.Lists)
{
    foreach (Table table in chosen.Length == 0 ? tables : chosen)
        table.List();
    return chosen.Length == 0 ? 1 : 0;
}
Machine.Print();
foreach (Table table in chosen)
    table.Print();
return 0;
