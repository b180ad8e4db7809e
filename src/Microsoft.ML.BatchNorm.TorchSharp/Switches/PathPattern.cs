using System.IO.Enumeration;

namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>Names of modules by patterns with <c>*</c> and <c>?</c>, as those of a network's layers.</summary>
static class PathPattern
{
    /// <summary>Whether the pattern matches the path, or that of a module around it.</summary>
    public static bool Matches(string pattern, string path)
    {
        if (path.Length == 0)
            return pattern == "*";
        for (int end = path.Length; end > 0; end = path.LastIndexOf('.', end - 1))
        {
            if (FileSystemName.MatchesSimpleExpression(pattern, path.AsSpan(0, end), ignoreCase: false))
                return true;
        }
        return false;
    }
}
