namespace Microsoft.ML.BatchNorm.TorchSharp.Runtime;

/// <summary>Says what to do about a native library that is not loaded.</summary>
static class NativeFault
{
    /// <summary>An error's message.</summary>
    /// <param name="libtorch">Why libtorch is not loaded; null if it is.</param>
    /// <param name="own">Why TorchSharp's own library is not loaded.</param>
    /// <param name="cudaPackage">The package with libtorch for a GPU.</param>
    public static string Explain(LoadFault? libtorch, LoadFault own, string cudaPackage)
    {
        string version = typeof(torch).Assembly.GetName().Version!.ToString(3), torchSharp = $"TorchSharp {version}";
        string remedy =
            $"Add TorchSharp-cpu to the application, or {cudaPackage} for a GPU, in TorchSharp's version, {version}.";
        string reason = (libtorch ?? own).Reason;
        return (libtorch, own) switch
        {
            ({ File: null }, _) => $"libtorch is missing. {remedy}",
            (null, { File: null }) =>
                $"{reason}. It comes with the package TorchSharp: publish the application for a system that this " +
                "package supports.",
            _ when reason.Contains("' not found (required by ", StringComparison.Ordinal) =>
                $"This system is older than the one that {torchSharp} is built for: {reason}. Use a newer one, such " +
                "as Debian 13, Ubuntu 24.04 or RHEL 10.",
            ({ }, _) =>
                $"libtorch cannot be loaded: {reason}. Restore its package again, or install what is missing.",
            _ when LacksFunction(reason) =>
                $"libtorch is not the one that {torchSharp} is built for, {NativeLoader.LibtorchVersion}: {reason}. " +
                remedy,
            _ => $"TorchSharp's native library cannot be loaded: {reason}.",
        };
    }

    /// <summary>The words of Linux, macOS and Windows.</summary>
    static bool LacksFunction(string reason) =>
        ((string[])["undefined symbol", "Symbol not found", "0x8007007F"])
            .Any(words => reason.Contains(words, StringComparison.Ordinal));
}
