#:property PublishAot=false
#:project Tools

// Builds everything in Release and runs every test: dotnet run build/test.cs [arguments of dotnet test]
// The last line counts the tests; the exit code is 0 only where none failed and at least one passed.

using Tools;

IReadOnlyList<Project>? built = Build.Run(Repository.Projects);
var total = new TestCounts();
foreach (Project project in built ?? [])
{
    if (project.IsTest)
        total += TestRun.Run(project, args);
}
Console.WriteLine(total);
return built is not null && total is { Passed: > 0, Failed: 0 } ? 0 : 1;
