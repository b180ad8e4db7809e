using System.Globalization;
using System.Reflection;

namespace Microsoft.ML.Transforms;

/// <summary>
/// The engine of Microsoft.ML.BatchNorm.TorchSharp, found by name: an application that does not want a GPU has neither
/// that assembly nor TorchSharp.
/// </summary>
static class GpuEngine
{
    const string AssemblyName = "Microsoft.ML.BatchNorm.TorchSharp", TypeName = AssemblyName + ".TorchEngine";

    /// <exception cref="InvalidOperationException">It cannot be had; the message says what is missing.</exception>
    public static object Create(int device)
    {
        if (device < 0)
            throw new InvalidOperationException("The first GPU has the number 0.");
        try
        {
            Type type = Find()?.GetType(TypeName) ?? throw new InvalidOperationException(
                $"Add the packages {AssemblyName} and TorchSharp-cuda-linux or TorchSharp-cuda-windows to the " +
                "application.");
            return Activator.CreateInstance(
                type, BindingFlags.Public | BindingFlags.Instance | BindingFlags.DoNotWrapExceptions, null,
                [$"cuda:{device}", null], CultureInfo.InvariantCulture)!;
        }
        catch (FileNotFoundException error)
        {
            throw new InvalidOperationException(
                $"{AssemblyName} is there, but {error.FileName} is not: add the package TorchSharp to the application.",
                error);
        }
        // A file that is no assembly, or one of another version than this library or TorchSharp.
        catch (Exception error) when (
            error is FileLoadException or BadImageFormatException or TypeLoadException or MissingMemberException)
        {
            throw new InvalidOperationException($"{AssemblyName} is there, but cannot be used: {error.Message}", error);
        }
    }

    static Assembly? Find()
    {
        try
        {
            return Assembly.Load(AssemblyName);
        }
        catch (FileNotFoundException)
        {
            string beside = Path.Combine(AppContext.BaseDirectory, $"{AssemblyName}.dll");
            return File.Exists(beside) ? Assembly.LoadFrom(beside) : null;
        }
    }
}
