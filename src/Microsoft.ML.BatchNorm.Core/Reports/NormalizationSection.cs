using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>For each batch normalization, how its moving statistics converged, and its γ and β.</summary>
static class NormalizationSection
{
    /// <summary>If the initializer's share is greater, inference is visibly biased towards it.</summary>
    const double VisibleShare = 0.05;

    /// <summary>The layers after these are collapsed, so that the report of a deep network stays readable.</summary>
    const int MostOpen = 8;

    public static string Of(TrainingPage run)
    {
        NetworkNode[] nodes = [.. run.Setup.Network.Nodes.Where(node => node.Layer is BatchNormalizationLayer)];
        if (nodes.Length == 0)
            return "";
        var html = new StringBuilder(Html.Heading(2, "Batch normalization"));
        html.Append(Html.Paragraph(run.Setup.Options.RecordStatistics
            ? "The charts show how far the moving statistics are from the exact ones of the training rows, with the "
                + "parameters at the end of each epoch. The distance of means is in standard deviations of the layer. "
                + "That of variances is the natural logarithm of their ratio: 0.7 is twice or half. In a phase that "
                + "does not move a layer's statistics, there is no distance."
            : "The convergence of the moving statistics was not recorded; TrainingOptions.RecordStatistics records it."));
        for (int i = 0; i < nodes.Length; i++)
            html.Append(Layer(run, nodes[i], i < MostOpen));
        return html.ToString();
    }

    static string Layer(TrainingPage run, NetworkNode node, bool open)
    {
        BatchNormalizationState state = run.State[node.Path].BatchNormalization!;
        StatisticsDistance[] distances = [.. run.Statistics.Where(distance => distance.Layer == node.Path)];
        return $"<details class=\"layer\"{(open ? " open" : "")}><summary>{Html.Escape(node.Path)}</summary>\n"
            + Html.Paragraph(About(run, node, state, distances))
            + Figure.Grid([
                Distance(run, node, distances, "Moving mean", "distance (deviations)",
                    distance => distance.MeanMedian, distance => distance.MeanMaximum),
                Distance(run, node, distances, "Moving variance", "distance (logarithm of the ratio)",
                    distance => distance.VarianceMedian, distance => distance.VarianceMaximum),
                Histogram(node, "γ", state.Gamma),
                Histogram(node, "β", state.Beta),
            ])
            + "</details>\n";
    }

    static string About(
        TrainingPage run, NetworkNode node, BatchNormalizationState state, StatisticsDistance[] distances)
    {
        var text = new StringBuilder(Html.Count(state.Channels, "channel"));
        foreach (RunPhase phase in run.Setup.Phases)
        {
            string where = phase.Name.Length == 0 ? "" : $"in phase {phase.Name} ";
            text.Append($"; {where}{Switches(phase.Network.GetNode(node.Path))}");
        }
        if (state.InitialWeight > VisibleShare)
            text.Append($"; {Html.Number(100 * state.InitialWeight)} % of its statistics are still the initializer's");
        if (distances is [.., var last])
            text.Append(
                $". Distances after the last epoch that moved them: means {Html.Number(last.MeanMedian)} (median) and "
                + $"{Html.Number(last.MeanMaximum)} (greatest), variances {Html.Number(last.VarianceMedian)} and "
                + $"{Html.Number(last.VarianceMaximum)}");
        bool replaced = run.Result is not null && run.Setup.Options.RecomputeStatistics
            && run.Setup.Phases[^1].Network.GetNode(node.Path).MovesStatistics;
        return text.Append(replaced ? "; then the exact statistics replaced them." : ".").ToString();
    }

    static string Switches(NetworkNode node)
    {
        BatchNormalizationOptions options = ((BatchNormalizationLayer)node.Layer).Options;
        bool moves = node.MovesStatistics, learns = node.TrainableCount > 0;
        return !options.Trainable ? "frozen"
            : $"{(learns ? "γ and β learn" : "γ and β are fixed")}, {(moves ? "statistics move" : "statistics are fixed")}";
    }

    static string Distance(
        TrainingPage run, NetworkNode node, StatisticsDistance[] distances, string title, string unit,
        Func<StatisticsDistance, double> median, Func<StatisticsDistance, double> maximum)
    {
        double?[] medians = new double?[run.History.Length], maxima = new double?[run.History.Length];
        foreach (StatisticsDistance distance in distances)
        {
            int index = run.IndexOf(distance.Phase, distance.Epoch);
            if (index < 0 || index >= medians.Length)
                continue;
            medians[index] = median(distance);
            maxima[index] = maximum(distance);
        }
        return new LineChart(
            title, node.Path, unit,
            [new ChartSeries("median channel", "s4", medians), new ChartSeries("worst channel", "s5", maxima)],
            run.Spans).ToHtml(logarithmic: true);
    }

    static string Histogram(NetworkNode node, string name, ReadOnlySpan<float> values) => values.IsEmpty
        ? ""
        : new HistogramChart(
            name, node.Path, name, Array.ConvertAll(values.ToArray(), value => (double)value)).ToHtml();
}
