using System.Text;

namespace Microsoft.ML.BatchNorm.Import;

/// <summary>Paths of layers from the names in a file.</summary>
static class OnnxNames
{
    /// <summary>
    /// What the names of a layer's tensors have in common: <c>layer1.0.bn1</c> of <c>layer1.0.bn1.weight</c> and
    /// <c>layer1.0.bn1.bias</c>. If that is nothing, the path in one of the names, or null if none has one.
    /// </summary>
    public static string? CommonPath(IReadOnlyList<string> tensors)
    {
        if (tensors.Count == 0)
            return null;
        string common = tensors[0];
        foreach (string name in tensors)
        {
            int length = 0;
            while (length < Math.Min(common.Length, name.Length) && common[length] == name[length])
                length++;
            common = common[..length];
        }
        int end = common.AsSpan().LastIndexOfAny('.', '/');
        if (end > 0)
            return Path(common[..end]);
        // An exporter may have made up the name of one of them.
        if (tensors.FirstOrDefault(name => name.AsSpan().IndexOfAny('.', '/') > 0) is { } known)
            return Path(known[..known.AsSpan().LastIndexOfAny('.', '/')]);
        // Without a module around them, tensors may be called conv1_w and conv1_b.
        end = tensors.Count > 1 ? common.AsSpan().LastIndexOfAny('_', ':') : -1;
        return end > 0 ? Path(common[..end]) : null;
    }

    /// <summary>
    /// A name from the file as a path. Characters that a path cannot have become <c>_</c>. Null if it is empty or too
    /// long.
    /// </summary>
    public static string? Path(string name)
    {
        string[] parts = name.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var path = new StringBuilder();
        foreach (Rune rune in string.Join('/', parts).EnumerateRunes())
            path.Append(rune.Value is '\\' or '*' or '?' ? "_" : rune.ToString());
        return path.Length > 0 && path.Length <= Network.MaxPath - FreePaths.Room && parts.Length <= Network.MaxLevels
            ? path.ToString()
            : null;
    }
}

/// <summary>Gives each layer a path that no other layer has, and that is not that of a block.</summary>
sealed class FreePaths
{
    /// <summary>The room for the number that makes a path unique.</summary>
    public const int Room = 12;

    readonly HashSet<string> paths = new(StringComparer.Ordinal), blocks = new(StringComparer.Ordinal);
    readonly Dictionary<string, int> numbers = new(StringComparer.Ordinal);

    public string Take(string path)
    {
        // A layer is not a block, so nothing can lie in it.
        if (Blocks(path).Any(paths.Contains))
            path = path.Replace('/', '.');
        string free = path;
        while (paths.Contains(free) || blocks.Contains(free))
            free = $"{path}_{numbers[path] = numbers.GetValueOrDefault(path) + 1}";
        paths.Add(free);
        blocks.UnionWith(Blocks(free));
        return free;
    }

    static IEnumerable<string> Blocks(string path)
    {
        for (int end = path.IndexOf('/'); end >= 0; end = path.IndexOf('/', end + 1))
            yield return path[..end];
    }
}
