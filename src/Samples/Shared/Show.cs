using Spectre.Console;
using Spectre.Console.Rendering;

namespace Samples;

/// <summary>Writes to the console: only ASCII, and colors only in a terminal.</summary>
static partial class Show
{
    /// <summary>Whether the output goes to a terminal instead of a file.</summary>
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

    /// <summary>Does something that takes a while; a terminal shows a spinner and the text meanwhile.</summary>
    public static T While<T>(string text, Func<T> work) =>
        IsTerminal ? AnsiConsole.Status().Spinner(Spinner.Known.Line).Start(Markup.Escape(text), _ => work()) : work();

    public static void Text(string text) => AnsiConsole.WriteLine(text);

    /// <summary>Writes the path of a file on a line of its own, which is never wrapped.</summary>
    public static void File(string text, string path)
    {
        Text(text);
        Console.WriteLine($"  {path}");
    }

    /// <summary>A table with words in the first column and numbers in the others.</summary>
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

/// <summary>Only a line of dashes below the header.</summary>
sealed class PlainBorder : TableBorder
{
    public override string GetPart(TableBorderPart part) => part switch
    {
        TableBorderPart.HeaderBottom or TableBorderPart.HeaderBottomSeparator => "-",
        _ => " ",
    };
}
