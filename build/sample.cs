#:property PublishAot=false
#:project Tools

// Builds a sample in Release and runs it: dotnet run build/sample.cs [name of the sample]
// Without a name, the first of those below that can be restored. DigitsPipeline, QuickStart and Serving need ML.NET, the
// others do not; Serving goes on until Ctrl+C.

string[] samples = ["DigitsPipeline", "ExposureShift", "TransferScenarios", "TransferLearning", "QuickStart", "Serving"];
string[] wanted = args is [] ? samples : [.. samples.Where(sample => args is [var name] && name == sample)];
if (wanted is [])
{
    Console.WriteLine($"usage: dotnet run build/sample.cs [{string.Join(" | ", samples)}]");
    return 1;
}
return Tools.Build.AndRunFirst(wanted, []);
