using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.BatchNorm.Reports;

/// <summary>
/// Names what shows objects of a class in a notebook. .NET Interactive finds an attribute of this name in any assembly
/// and asks it by reflection for these properties, so that a library needs no reference to it.
/// </summary>
[AttributeUsage(AttributeTargets.Class)]
sealed class TypeFormatterSourceAttribute(
    [DynamicallyAccessedMembers(
        DynamicallyAccessedMemberTypes.PublicParameterlessConstructor | DynamicallyAccessedMemberTypes.PublicMethods)]
    Type formatterSourceType) : Attribute
{
    public Type FormatterSourceType => formatterSourceType;

    public string[] PreferredMimeTypes { get; } = [NotebookFormatterSource.Html];
}

/// <summary>What the attribute names: .NET Interactive makes one and calls its method by name.</summary>
sealed class NotebookFormatterSource
{
    public const string Html = "text/html";

    readonly NotebookFormatter formatter = new(Html, ReportPage.Element);

    public IEnumerable<object> CreateTypeFormatters() => [formatter];
}

/// <summary>Shows a report in a notebook; .NET Interactive calls its members by name.</summary>
sealed class NotebookFormatter(string mimeType, Func<IReport, string> render)
{
    public string MimeType => mimeType;

    public bool Format(object instance, TextWriter writer)
    {
        if (instance is not IReport report)
            return false;
        writer.Write(render(report));
        return true;
    }
}
