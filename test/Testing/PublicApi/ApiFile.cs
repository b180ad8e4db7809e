using System.Reflection;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>The file that an assembly's public API is written down in, so that a review sees each change.</summary>
static class ApiFile
{
    const string Accept = "BATCHNORM_ACCEPT_PUBLIC_API";

    /// <summary>Compares the file with the assembly, or writes it anew where that is asked for.</summary>
    /// <param name="assembly">The assembly.</param>
    /// <param name="folder">The file's folder from the repository's root; the file has the assembly's name.</param>
    public static void Check(Assembly assembly, string folder)
    {
        string path = Path.Combine(DotNetBuild.Root, folder, $"{assembly.GetName().Name}.txt");
        string[] actual = ApiText.Of(assembly);
        if (Environment.GetEnvironmentVariable(Accept) == "1")
        {
            File.WriteAllText(path, string.Concat(actual.Select(line => line + "\n")));
            return;
        }
        string[] expected = File.Exists(path) ? File.ReadAllLines(path) : [];
        string difference = Difference(expected, actual);
        Assert.IsTrue(
            expected.SequenceEqual(actual),
            $"""
            The public API is not that of {path}:
            {difference}
            Where that is meant, run this test with {Accept}=1 in the environment, which writes the file, and commit it.
            """);
    }

    /// <summary>The lines that are gone and those that are new, each with the type that it belongs to.</summary>
    public static string Difference(string[] expected, string[] actual)
    {
        string[] before = Named(expected), now = Named(actual);
        string[] lines =
        [
            .. before.Except(now).Select(line => "- " + line), .. now.Except(before).Select(line => "+ " + line),
        ];
        return lines.Length == 0 ? "The same lines in another order." : string.Join('\n', lines);
    }

    static string[] Named(string[] lines)
    {
        string type = "";
        return
        [
            .. lines.Where(line => line.Length > 0)
                .Select(line => line[0] == ' ' ? $"{type}: {line.Trim()}" : type = line),
        ];
    }
}
