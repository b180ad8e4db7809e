namespace Microsoft.ML.BatchNorm.Reports.Charts;

/// <summary>Values by epoch, with the phases of a plan behind them.</summary>
/// <param name="Title">What it shows.</param>
/// <param name="Subject">What it shows that of, for those who do not see what is around it; empty for the run.</param>
/// <param name="Unit">The title of the vertical axis, with its unit.</param>
/// <param name="Series">The lines; those without a finite value are left out.</param>
/// <param name="Phases">The phases that the epochs belong to; one or none is not marked.</param>
/// <param name="Best">The epoch, from 1 over all phases, to mark, or 0.</param>
sealed record LineChart(
    string Title, string Subject, string Unit, IReadOnlyList<Series> Series, IReadOnlyList<PhaseSpan> Phases,
    int Best = 0)
{
    const int MostMarkers = 40, MostTicks = 5, StripHeight = 17;

    /// <summary>The chart as a figure, or nothing where there is no finite value.</summary>
    public string ToHtml(bool logarithmic)
    {
        Series[] drawn = [.. Series.Where(series => series.Finite.Any())];
        if (drawn.Length == 0)
            return "";
        double[] values = [.. drawn.SelectMany(series => series.Finite)];
        int epochs = drawn.Max(series => series.Values.Count);
        var frame = new Frame(
            Axis.Whole(0.5, epochs + 0.5, 1, 8),
            logarithmic ? Axis.LogarithmicOf(values, MostTicks) : Axis.Of(values, MostTicks),
            strip: Phases.Count < 2 ? 0 : StripHeight);
        var drawing = new Drawing(Frame.Width, Frame.Height);
        DrawPhases(drawing, frame);
        frame.Draw(drawing, "epoch", Unit);
        if (Best > 0)
            drawing.Line("best", frame.AtX(Best), frame.Top, frame.AtX(Best), Frame.Bottom);
        foreach (Series series in drawn)
            Draw(drawing, frame, series, epochs);
        return Figure.Of(Title, drawing.ToSvg(Label(drawn)), [
            .. drawn.Select(series => (series.Style, series.Name)),
            .. Best > 0 ? new[] { ("best", $"best epoch ({Best})") } : [],
        ]);
    }

    void DrawPhases(Drawing drawing, Frame frame)
    {
        if (Phases.Count < 2)
            return;
        for (int i = 0; i < Phases.Count; i++)
        {
            PhaseSpan phase = Phases[i];
            double first = frame.AtX(phase.First - 0.5), last = frame.AtX(phase.Last + 0.5);
            double top = frame.Top - StripHeight;
            drawing.Box(i % 2 == 0 ? "phase" : "phase odd", first, top, last - first, Frame.Bottom - top);
            if (i > 0)
                drawing.Line("boundary", first, top, first, Frame.Bottom);
            string name = TextSize.Fit(phase.Name, last - first - 8);
            if (name.Length > 0)
                drawing.Text("phase-name", first + 4, frame.Top - 5, name);
        }
    }

    static void Draw(Drawing drawing, Frame frame, Series series, int epochs)
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

    string Label(Series[] drawn) =>
        $"{(Subject.Length == 0 ? Title : $"{Title} of {Subject}")} by epoch. "
        + string.Join("; ", drawn.Select(series =>
            $"{series.Name} from {Html.Number(series.Finite.First())} to {Html.Number(series.Finite.Last())}")) + ".";
}

/// <summary>A line of a chart: one value an epoch, null where there is none.</summary>
/// <param name="Name">What the legend calls it.</param>
/// <param name="Style">The class that has its color.</param>
/// <param name="Values">By epoch over all phases.</param>
sealed record Series(string Name, string Style, IReadOnlyList<double?> Values)
{
    public IEnumerable<double> Finite => Values.OfType<double>().Where(double.IsFinite);
}

/// <summary>The epochs of a phase, from 1 over all phases, both included.</summary>
sealed record PhaseSpan(string Name, int First, int Last);
