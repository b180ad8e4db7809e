using Microsoft.ML.BatchNorm.Training;

namespace Microsoft.ML.BatchNorm.Reports.Training;

/// <summary>The table of layers, and what trained in each phase.</summary>
static class LayerSection
{
    public static string Of(ReportedRun run)
    {
        RunPhase[] phases = [.. run.Setup.Phases];
        var table = new HtmlTable("Layers", [
            "Layer", "Kind", "Output shape", "Parameters",
            .. phases.Select(phase => phase.Name.Length == 0 ? "Trained" : $"Trained in {phase.Name}"),
        ]);
        foreach (NetworkNode node in run.Setup.Network.Nodes)
        {
            table.Add([
                node.Path, node.Layer.Kind, node.Output.ToString(), Html.Count(node.ParameterCount),
                .. phases.Select(phase => Trained(phase.Network.GetNode(node.Path))),
            ]);
        }
        return Html.Heading(2, "Layers") + table;
    }

    static string Trained(NetworkNode node) => node.ParameterCount == 0 ? HtmlTable.None
        : Network.Switches(node) is "no" ? "frozen" : Network.Switches(node);
}
