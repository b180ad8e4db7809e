namespace Tools;

/// <summary>The tests and the figures that take a GPU, in one go.</summary>
public static class GpuRun
{
    const string Tests = "Microsoft.ML.BatchNorm.TorchSharp.Tests";
    const string Figures = "Microsoft.ML.BatchNorm.TorchSharp.Benchmarks";

    /// <summary>
    /// Builds both with libtorch for CUDA, where it can be restored, runs the tests of the category Gpu, and then the
    /// benchmarks on this console. The exit code is 0 where no test failed and the benchmarks ran; without a GPU, tests
    /// are skipped, with the reason, and the benchmarks run on the CPU.
    /// </summary>
    /// <param name="arguments">What the benchmarks get: the device, where it is not the first.</param>
    public static int Start(IEnumerable<string> arguments)
    {
        // MSBuild takes environment variables for properties: the tests take this instead of libtorch for the CPU.
        Environment.SetEnvironmentVariable("WithGpu", "true");
        Project tests = Repository.Find(Tests), figures = Repository.Find(Figures);
        Project[] all = [.. new[] { tests, figures }.SelectMany(Repository.WithReferences).Distinct()];
        if (Build.Run(all) is not { } built || !built.Contains(figures))
            return 1;
        TestCounts counts = built.Contains(tests) ? TestRun.Run(tests, ["--filter", "TestCategory=Gpu"]) : default;
        int code = Build.Execute(figures, arguments);
        return counts.Failed > 0 ? 1 : code;
    }
}
