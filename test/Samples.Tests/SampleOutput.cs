using System.Globalization;

namespace Samples.Tests;

/// <summary>What a sample, run to its end in a process of its own, has written.</summary>
sealed class SampleOutput(string[] lines)
{
    /// <summary>All of it, with a blank for every break of a line, so that its width does not matter.</summary>
    public string Text => string.Join(' ', string.Join(' ', lines).Split(' ', StringSplitOptions.RemoveEmptyEntries));

    public static SampleOutput Of(string sample, params string[] arguments) =>
        OfProgram(Path.Combine(AppContext.BaseDirectory, $"{sample}.dll"), arguments);

    public static SampleOutput OfProgram(string path, params string[] arguments) =>
        new(DotNetBuild.Execute(["exec", path, .. arguments]).ReplaceLineEndings("\n").Split('\n'));

    /// <summary>What stands under the heading of that number.</summary>
    public SampleOutput Section(int number) => new(
    [
        .. lines.SkipWhile(line => !line.StartsWith($"{number}. ", StringComparison.Ordinal))
            .TakeWhile(line => !line.StartsWith($"{number + 1}. ", StringComparison.Ordinal)),
    ]);

    /// <summary>The cells of a table's row behind its name.</summary>
    public string[] Row(string name) =>
        [.. lines.Select(Cells).Single(cells => cells.Length > 1 && cells[0] == name)[1..]];

    /// <summary>A cell as a number, 0.5 for 50 %.</summary>
    public double Number(string row, int cell)
    {
        string text = Row(row)[cell];
        bool percent = text.EndsWith('%');
        return double.Parse(text.TrimEnd(' ', '%'), CultureInfo.InvariantCulture) / (percent ? 100 : 1);
    }

    /// <summary>The path of the file with that extension.</summary>
    public string PathOf(string extension) =>
        lines.Select(line => line.Trim()).Single(line => line.EndsWith(extension, StringComparison.Ordinal));

    static string[] Cells(string line) =>
        line.Split("  ", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
}
