namespace Microsoft.ML.BatchNorm;

/// <summary>Which of a file's names is most like the one that was asked for.</summary>
static class NearestName
{
    // Names of a hostile file may be many and long; what a message says of them must not take long.
    const int MostNames = 10_000, MostCharacters = 64;

    /// <summary>The names by the number of characters to insert, leave out or replace, the fewest first.</summary>
    public static IEnumerable<string> Order(string name, IEnumerable<string> names)
    {
        string[] all = [.. names];
        return all.Length > MostNames
            ? all
            : all.OrderBy(other => Distance(Start(name), Start(other))).ThenBy(other => other, StringComparer.Ordinal);
    }

    static ReadOnlySpan<char> Start(string name) => name.AsSpan(0, Math.Min(name.Length, MostCharacters));

    /// <summary>Levenshtein's distance, one line of its table after the other.</summary>
    static int Distance(ReadOnlySpan<char> from, ReadOnlySpan<char> to)
    {
        Span<int> line = stackalloc int[MostCharacters + 1];
        for (int j = 0; j <= to.Length; j++)
            line[j] = j;
        for (int i = 1; i <= from.Length; i++)
        {
            int diagonal = line[0];
            line[0] = i;
            for (int j = 1; j <= to.Length; j++)
            {
                int replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
                diagonal = line[j];
                line[j] = Math.Min(replaced, 1 + Math.Min(line[j], line[j - 1]));
            }
        }
        return line[to.Length];
    }
}
