#:property PublishAot=false
#:project Tools

// Builds the benchmarks in Release and runs them: dotnet run build/bench.cs [part of a comparison's name]
// Those against ML.NET are left out, and named, where no package source has it.
// dotnet run build/bench.cs -- --gpu [device] runs the tests that take a GPU and measures the engine on TorchSharp, on
// a GPU where there is one.

return args is ["--gpu", .. var rest]
    ? Tools.GpuRun.Start(rest)
    : Tools.Build.AndRunEach(["Microsoft.ML.BatchNorm.Benchmarks", "Microsoft.ML.BatchNorm.MLBenchmarks"], args);
