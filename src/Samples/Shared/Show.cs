using Spectre.Console;

namespace Samples;

/// <summary>How the sample writes on the console: ASCII alone, and colours in a terminal alone.</summary>
static partial class Show
{
    /// <summary>Whether somebody watches, or the output goes to a file.</summary>
    public static bool IsTerminal { get; } = !Console.IsOutputRedirected;

    static Show()
    {
        Capabilities capabilities = AnsiConsole.Profile.Capabilities;
        capabilities.Unicode = false;
        if (!IsTerminal)
            capabilities.Ansi = false;
    }

    public static void Title(string title, string text)
    {
        AnsiConsole.MarkupLineInterpolated($"[bold]{title}[/]");
        Text(text);
    }

    public static void Heading(int number, string title, string text)
    {
        AnsiConsole.WriteLine();
        AnsiConsole.MarkupLineInterpolated($"[bold]{number}. {title}[/]");
        Text(text);
    }

    /// <summary>Does something that takes a while, and says so meanwhile where somebody watches.</summary>
    public static T While<T>(string text, Func<T> work) =>
        IsTerminal ? AnsiConsole.Status().Spinner(Spinner.Known.Line).Start(Markup.Escape(text), _ => work()) : work();

    public static void Text(string text) => AnsiConsole.WriteLine(text);

    /// <summary>Where a file is, on a line of its own that is as long as it must be.</summary>
    public static void File(string text, string path)
    {
        Text(text);
        Console.WriteLine($"  {path}");
    }

    /// <summary>A table whose first column is words and whose others are numbers.</summary>
    public static void Table(string[] headers, params IEnumerable<string[]> rows)
    {
        var table = new Table().Border(new PlainBorder());
        foreach (string header in headers)
        {
            TableColumn column = new TableColumn($"[green]{Markup.Escape(header)}[/]").NoWrap();
            table.AddColumn(table.Columns.Count == 0 ? column : column.RightAligned());
        }
        foreach (string[] row in rows)
            table.AddRow(Array.ConvertAll(row, Markup.Escape));
        AnsiConsole.Write(table);
    }

    public static string YesNo(bool value) => value ? "yes" : "no";
}
