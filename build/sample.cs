#:property PublishAot=false
#:project Tools

// Builds a sample in Release and runs it: dotnet run build/sample.cs [name of the sample]
// Without a name, the first of those below that can be restored. DigitsPipeline, Drift, QuickStart and Serving need
// ML.NET, the others do not; Serving goes on until Ctrl+C.
// dotnet run build/sample.cs -- --gpu trains on a GPU, and says what is missing where there is none.

string[] samples =
[
    "DigitsPipeline", "ExposureShift", "QuickStart", "FrozenOrFineTuned", "TransferLearning", "ConvolutionalBlock",
    "Drift", "Serving", "TransferScenarios", "TenSeeds",
];
const string Gpu = "GpuTraining";
string[] wanted = args switch
{
    [] => samples,
    ["--gpu"] or [Gpu] => [Gpu],
    [var name] when samples.Contains(name) => [name],
    _ => [],
};
if (wanted is [])
{
    Console.WriteLine($"usage: dotnet run build/sample.cs [{string.Join(" | ", samples)} | -- --gpu]");
    return 1;
}
return Tools.Build.AndRunFirst(wanted, []);
