namespace Microsoft.ML.BatchNorm;

/// <summary>Values by epoch, with the phases of a plan in the background.</summary>
/// <param name="Title">The title.</param>
/// <param name="Subject">
/// The layer that it is about, for readers who cannot see where the chart stands; empty for the whole run.
/// </param>
/// <param name="Unit">The title of the vertical axis, with its unit.</param>
/// <param name="Series">The lines. A line without a finite value is left out.</param>
/// <param name="Phases">The phases of the epochs. They are marked if there are at least two.</param>
/// <param name="Best">The epoch to mark, from 1 over all phases, or 0.</param>
sealed record LineChart(
    string Title, string Subject, string Unit, IReadOnlyList<ChartSeries> Series, IReadOnlyList<PhaseSpan> Phases,
    int Best = 0)
{
    const int MostMarkers = 40, MostTicks = 5, StripHeight = 17, MostStrips = 200;

    /// <summary>The chart as a figure; empty if there is no finite value.</summary>
    public string ToHtml(bool logarithmic)
    {
        ChartSeries[] drawn = [.. Series.Where(series => series.Finite.Any())];
        if (drawn.Length == 0)
            return "";
        double[] values = [.. drawn.SelectMany(series => series.Finite)];
        int epochs = drawn.Max(series => series.Values.Count);
        var frame = new ChartFrame(
            ChartAxis.Whole(0.5, epochs + 0.5, 1, 8),
            logarithmic ? ChartAxis.LogarithmicOf(values, MostTicks) : ChartAxis.Of(values, MostTicks),
            strip: Phases.Count < 2 ? 0 : StripHeight);
        var drawing = new Drawing(ChartFrame.Width, ChartFrame.Height);
        DrawPhases(drawing, frame);
        frame.Draw(drawing, "epoch", Unit);
        if (Best > 0)
            drawing.Line("best", frame.AtX(Best), frame.Top, frame.AtX(Best), ChartFrame.Bottom);
        foreach (ChartSeries series in drawn)
            Draw(drawing, frame, series, epochs);
        DrawValues(drawing, frame, drawn, epochs);
        return Figure.Of(Title, drawing.ToSvg(Label(drawn)), [
            .. drawn.Select(series => (series.Style, series.Name)),
            .. Best > 0 ? new[] { ("best", $"best epoch ({Best})") } : [],
        ]);
    }

    void DrawPhases(Drawing drawing, ChartFrame frame)
    {
        if (Phases.Count < 2)
            return;
        for (int i = 0; i < Phases.Count; i++)
        {
            PhaseSpan phase = Phases[i];
            double first = frame.AtX(phase.First - 0.5), last = frame.AtX(phase.Last + 0.5);
            double top = frame.Top - StripHeight;
            drawing.Box(i % 2 == 0 ? "phase" : "phase odd", first, top, last - first, ChartFrame.Bottom - top);
            if (i > 0)
                drawing.Line("boundary", first, top, first, ChartFrame.Bottom);
            string name = TextSize.Fit(phase.Name, last - first - 8);
            if (name.Length > 0)
                drawing.Text("phase-name", first + 4, frame.Top - 5, name);
        }
    }

    static void Draw(Drawing drawing, ChartFrame frame, ChartSeries series, int epochs)
    {
        var run = new List<(double X, double Y)>();
        for (int i = 0; i <= series.Values.Count; i++)
        {
            if (i < series.Values.Count && series.Values[i] is { } value && double.IsFinite(value))
            {
                run.Add((frame.AtX(i + 1), frame.AtY(value)));
                continue;
            }
            if (run.Count > 1)
                drawing.Polyline($"line {series.Style}", run);
            foreach ((double x, double y) in epochs <= MostMarkers || run.Count == 1 ? run : [])
                drawing.Circle($"marker {series.Style}", x, y, 2.4);
            run.Clear();
        }
    }

    /// <summary>Strips over the epochs, whose tooltips have the values there.</summary>
    static void DrawValues(Drawing drawing, ChartFrame frame, ChartSeries[] drawn, int epochs)
    {
        int step = Math.Max(1, (epochs + MostStrips - 1) / MostStrips);
        for (int epoch = 1; epoch <= epochs; epoch += step)
        {
            double first = frame.AtX(epoch - 0.5), last = frame.AtX(Math.Min(epochs, epoch + step - 1) + 0.5);
            drawing.Box(
                "strip", first, frame.Top, last - first, ChartFrame.Bottom - frame.Top,
                $"epoch {epoch}" + string.Concat(drawn.Select(series => At(series, epoch - 1))));
        }

        static string At(ChartSeries series, int index) =>
            index < series.Values.Count && series.Values[index] is { } value
                ? $"\n{Html.Visible(series.Name)} {Html.Number(value)}"
                : "";
    }

    string Label(ChartSeries[] drawn) =>
        $"{(Subject.Length == 0 ? Title : $"{Title} of {Subject}")} by epoch. "
        + string.Join("; ", drawn.Select(series =>
            $"{series.Name} from {Html.Number(series.Finite.First())} to {Html.Number(series.Finite.Last())}")) + ".";
}

/// <summary>A line of a chart.</summary>
/// <param name="Name">Its name in the legend.</param>
/// <param name="Style">The class with its color.</param>
/// <param name="Values">One value per epoch over all phases; null if an epoch has none.</param>
sealed record ChartSeries(string Name, string Style, IReadOnlyList<double?> Values)
{
    public IEnumerable<double> Finite => Values.OfType<double>().Where(double.IsFinite);
}

/// <summary>The first and the last epoch of a phase, counted from 1 over all phases.</summary>
sealed record PhaseSpan(string Name, int First, int Last);
