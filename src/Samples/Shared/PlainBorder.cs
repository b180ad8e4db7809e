using Spectre.Console;
using Spectre.Console.Rendering;

namespace Samples;

/// <summary>A line of dashes below the header, and nothing else.</summary>
sealed class PlainBorder : TableBorder
{
    public override string GetPart(TableBorderPart part) => part switch
    {
        TableBorderPart.HeaderBottom or TableBorderPart.HeaderBottomSeparator => "-",
        _ => " ",
    };
}
