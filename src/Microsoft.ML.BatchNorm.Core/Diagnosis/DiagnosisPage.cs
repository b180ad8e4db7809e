namespace Microsoft.ML.BatchNorm;

/// <summary>The page of a diagnosis: the verdict, what was measured, and the layers as charts and a table.</summary>
sealed class DiagnosisPage(BatchNormalizationDiagnosis diagnosis, string title) : IReport
{
    const int MostBars = 24;

    public string Title => title;

    public string Body() =>
        Html.Paragraph(diagnosis.Verdict) + Facts() + Metrics() + Layers()
        + string.Concat(diagnosis.Notes.Select(Html.Paragraph));

    string Facts() => Html.Facts([
        ("Rows", Html.Count(diagnosis.Rows)),
        ("Layers with moving statistics", Html.Count(diagnosis.Layers.Length)),
        ("Layers with a fault", Html.Count(diagnosis.Layers.Count(layer => layer.Fault != NormalizationFault.None))),
        ("Change of outputs (their deviation)", Html.Number(diagnosis.OutputChange)),
    ]);

    string Metrics() => Table("Loss and metric by the statistics", diagnosis.EvaluationCells());

    string Layers()
    {
        if (diagnosis.Layers.IsEmpty)
            return "";
        LayerDiagnosis[] shown = [.. diagnosis.Layers
            .OrderByDescending(layer => Math.Abs(layer.Share)).Take(MostBars)
            .OrderBy(diagnosis.Layers.IndexOf)];
        return Html.Heading(2, "Layers")
            + string.Concat(diagnosis.Layers.Where(layer => layer.Finding.Length > 0)
                .Select(layer => Html.Paragraph($"{layer.Layer}: {layer.Finding}")))
            + Html.Paragraph(
                "Displacement is how far a layer's outputs are from those under exact statistics of these rows, in "
                + "standard deviations, when the layers before it have exact ones; as served, when they are as they are. "
                + "The share is how much of the difference in the network's outputs is the layer's doing.")
            + Figure.Grid([
                Bars("Displacement", "standard deviations", layer => layer.Displacement),
                Bars("Share of the difference in the outputs", "share", layer => layer.Share),
            ])
            + Table("Layers", diagnosis.LayerCells());

        string Bars(string name, string unit, Func<LayerDiagnosis, double> value) => new BarChart(
            name, unit,
            [.. shown.Select(layer => new ChartBar(layer.Layer, value(layer), HasFault(layer) ? "drifted" : ""))],
            [
                .. shown.Any(HasFault) ? new[] { ("drifted", "with a fault") } : [],
                .. shown.All(HasFault) ? [] : new[] { ("kept", "without") },
            ]).ToHtml();
    }

    static bool HasFault(LayerDiagnosis layer) => layer.Fault != NormalizationFault.None;

    static string Table(string label, string[][] cells)
    {
        if (cells.Length < 2)
            return "";
        var table = new HtmlTable(label, cells[0]);
        foreach (string[] row in cells[1..])
            table.Add(row);
        return table.ToString();
    }
}
