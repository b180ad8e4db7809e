#:property PublishAot=false
#:project Tools

// Builds the benchmarks in Release and runs them: dotnet run build/bench.cs [arguments of the benchmarks]

return Tools.Build.AndRun("Microsoft.ML.BatchNorm.Benchmarks", args);
