using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>What a network predicts for the validation rows: the confusion of its classes, or its residuals.</summary>
static class OutcomeSection
{
    /// <summary>Of more classes, the most frequent confusions are listed instead of a matrix.</summary>
    const int MostOfMatrix = 20;

    const int MostConfusions = 20, MostClasses = 60;

    public static string Of(TrainingPage run)
    {
        if (run.Result is not { } result)
            return "";
        string section = string.Concat(Tables(run).Select(table => Html.Heading(3, table.Title) + table.Table))
            + Residuals(result);
        return section.Length == 0 ? "" : Html.Heading(2, "Validation rows")
            + (result.Confusion.IsEmpty ? "" : Html.Facts(Averages(result)) + Html.Paragraph(About(result)))
            + section;
    }

    /// <summary>The tables of the classes, with their titles; none for a regression.</summary>
    public static IEnumerable<(string Title, HtmlTable Table)> Tables(TrainingPage run)
    {
        if (run.Result is not { Confusion.IsEmpty: false } result)
            yield break;
        string[] names = Names(result);
        if (names.Length <= MostOfMatrix)
            yield return ("Confusion matrix", Matrix(result.Confusion, names));
        else if (result.Confusion.Any(one => one.Actual != one.Predicted))
            yield return ("Most frequent confusions", Confusions(result.Confusion, names));
        ClassFigures[] classes = Classes(result);
        yield return (classes.Length <= MostClasses ? "Classes" : $"The worst {MostClasses} classes",
            Figures(classes, names));
    }

    static string[] Names(TrainingResult result)
    {
        int classes = Math.Max(
            result.Confusion.Max(one => Math.Max(one.Actual, one.Predicted)) + 1,
            Math.Max(result.ClassNames.Length, result.Network.OutputShape.Size));
        return [.. Enumerable.Range(0, classes).Select(
            index => index < result.ClassNames.Length ? result.ClassNames[index] : $"{index}")];
    }

    static string About(TrainingResult result) =>
        "Recall is the share of a class's rows that the network finds, precision the share of the rows it takes for "
        + "the class that are of it, and F1 their harmonic mean. The averages count each class alike."
        + (result.Confusion.Sum(one => one.Rows) < result.ValidationRows ? " Rows of weight 0 are left out." : "");

    static List<(string Name, string Value)> Averages(TrainingResult result)
    {
        ClassFigures[] known = Array.FindAll(Classes(result), one => one.Rows > 0);
        return
        [
            ("Right", $"{Html.Count(known.Sum(one => one.Right))} of {Html.Count(known.Sum(one => one.Rows))}"),
            ("Average recall", Html.Number(known.Average(one => one.Recall))),
            ("Average F1", Html.Number(known.Average(one => one.F1))),
        ];
    }

    static ClassFigures[] Classes(TrainingResult result)
    {
        ILookup<int, ConfusionCount> actual = result.Confusion.ToLookup(one => one.Actual),
            predicted = result.Confusion.ToLookup(one => one.Predicted);
        return [.. Enumerable.Range(0, Names(result).Length).Select(index => new ClassFigures(
            index, actual[index].Sum(one => one.Rows), predicted[index].Sum(one => one.Rows),
            actual[index].Where(one => one.Predicted == index).Sum(one => one.Rows)))];
    }

    static HtmlTable Matrix(ImmutableArray<ConfusionCount> confusion, string[] names)
    {
        int[,] rows = new int[names.Length, names.Length];
        foreach (ConfusionCount one in confusion)
            rows[one.Actual, one.Predicted] = one.Rows;
        var table = new HtmlTable("Confusion matrix", ["Class", .. names.Select(name => $"taken for {name}")]);
        for (int actual = 0; actual < names.Length; actual++)
        {
            int[] counts = [.. Enumerable.Range(0, names.Length).Select(predicted => rows[actual, predicted])];
            int diagonal = actual + 1;
            table.Add([names[actual], .. counts.Select(count => Html.Count(count))], column =>
                column == 0 || counts[column - 1] == 0 ? ""
                : (column == diagonal ? "right" : "wrong") + Shade((double)counts[column - 1] / counts.Sum()));
        }
        return table;

        static int Shade(double share) => share switch { < 0.1 => 1, < 0.5 => 2, _ => 3 };
    }

    static HtmlTable Confusions(ImmutableArray<ConfusionCount> confusion, string[] names)
    {
        ILookup<int, ConfusionCount> actual = confusion.ToLookup(one => one.Actual);
        var table = new HtmlTable("Most frequent confusions", "Class", "Taken for", "Rows", "Share of the class");
        foreach (ConfusionCount one in confusion.Where(one => one.Actual != one.Predicted)
            .OrderByDescending(one => one.Rows).Take(MostConfusions))
        {
            table.Add(
                names[one.Actual], names[one.Predicted], Html.Count(one.Rows),
                Html.Number((double)one.Rows / actual[one.Actual].Sum(row => row.Rows)));
        }
        return table;
    }

    static HtmlTable Figures(ClassFigures[] classes, string[] names)
    {
        var table = new HtmlTable("Classes", "Class", "Rows", "Recall", "Precision", "F1");
        IEnumerable<ClassFigures> shown = classes.Length <= MostClasses
            ? classes
            : classes.Where(one => one.Rows > 0).OrderBy(one => one.F1).Take(MostClasses);
        foreach (ClassFigures one in shown)
            table.Add(names[one.Class], Html.Count(one.Rows), Known(one.Recall), Known(one.Precision), Known(one.F1));
        return table;

        static string Known(double share) => double.IsNaN(share) ? HtmlTable.None : Html.Number(share);
    }

    static string Residuals(TrainingResult result)
    {
        ImmutableArray<TargetPrediction> all = result.ValidationPredictions;
        double[] residuals = [.. all.Select(one => (double)one.Prediction - one.Target)];
        if (all.IsEmpty || !Array.TrueForAll(residuals, double.IsFinite))
            return "";
        double mean = all.Average(one => (double)one.Target);
        double squares = residuals.Sum(value => value * value);
        double total = all.Sum(one => (one.Target - mean) * (one.Target - mean));
        return Html.Facts([
                ("Mean residual", Html.Number(residuals.Average())),
                ("Root mean square", Html.Number(Math.Sqrt(squares / residuals.Length))),
                ("R²", total > 0 ? Html.Number(1 - squares / total) : HtmlTable.None),
            ])
            + Html.Paragraph(
                "A residual is the prediction minus the target. On the dotted line the two are equal."
                + (all.Length < result.ValidationRows
                    ? $" {Html.Count(all.Length)} of {Html.Count(result.ValidationRows, "row")} are shown."
                    : ""))
            + Figure.Grid([
                new HistogramChart("Residuals", "the validation rows", "residual (target's unit)", residuals, Noun: "row")
                    .ToHtml(),
                Scatter(all),
            ]);
    }

    /// <summary>Predictions over targets; where they agree, a line.</summary>
    static string Scatter(ImmutableArray<TargetPrediction> rows)
    {
        double[] values = [.. rows.SelectMany(row => new double[] { row.Target, row.Prediction })];
        ChartAxis axis = ChartAxis.Of(values, 5);
        var frame = new ChartFrame(axis, axis);
        var drawing = new Drawing(ChartFrame.Width, ChartFrame.Height);
        frame.Draw(drawing, "target", "prediction");
        drawing.Line("boundary", frame.AtX(axis.Low), frame.AtY(axis.Low), frame.AtX(axis.High), frame.AtY(axis.High));
        foreach (TargetPrediction row in rows)
        {
            drawing.Circle(
                "marker s1", frame.AtX(row.Target), frame.AtY(row.Prediction), 1.6,
                $"target {Html.Number(row.Target)}\nprediction {Html.Number(row.Prediction)}");
        }
        return Figure.Of(
            "Prediction and target",
            drawing.ToSvg($"Predictions over targets of {Html.Count(rows.Length, "validation row")}."));
    }

    /// <summary>How a network does on one class.</summary>
    /// <param name="Class">The class.</param>
    /// <param name="Rows">Its rows.</param>
    /// <param name="Taken">The rows that the network takes for it.</param>
    /// <param name="Right">The rows that are both.</param>
    sealed record ClassFigures(int Class, int Rows, int Taken, int Right)
    {
        public double Recall => (double)Right / Rows;

        public double Precision => (double)Right / Taken;

        public double F1 => 2.0 * Right / (Rows + Taken);
    }
}

/// <summary>A remark on the gap between training and validation, where it matters.</summary>
static class Remark
{
    /// <summary>A difference in accuracy below this does not matter.</summary>
    const double LeastAccuracy = 0.02;

    /// <summary>A difference in cross-entropy below this does not matter, in nats.</summary>
    const double LeastLoss = 0.02;

    /// <summary>A validation loss that has risen by less since the best epoch has not really risen.</summary>
    const double LeastRise = 1.1;

    const double LeastErrorRatio = 1.5, LeastLossRatio = 2, Deviations = 3;

    /// <summary>The remark, or nothing.</summary>
    public static string Of(TrainingPage run)
    {
        if (run is not { Shown: { ValidationLoss: { } loss } shown, Result.ValidationRows: var rows and > 0 })
            return "";
        string gap = Gap(shown, loss, rows, LossText.IsAccuracy(run.Setup.Options.Loss));
        string rise = run is { Best: > 0, IsBestRestored: false }
            && run.History[run.Best - 1].ValidationLoss is { } least && loss > LeastRise * least
            && loss - least > (LossText.IsAccuracy(run.Setup.Options.Loss) ? LeastLoss : 0)
                ? $"The validation loss was lowest in epoch {Html.Count(run.Best)}, at {Html.Number(least)}, and has "
                    + $"risen to {Html.Number(loss)}: EarlyStopping would keep that epoch."
                : "";
        if (gap.Length > 0)
            gap += " The network knows its training rows better than new ones: more rows, dropout, weight decay, early "
                + "stopping or a smaller network can help.";
        return gap.Length > 0 && rise.Length > 0 ? $"{gap} {rise}" : gap + rise;
    }

    static string Gap(EpochResult shown, double loss, int rows, bool isAccuracy)
    {
        if (shown is { Metric: { } training, ValidationMetric: { } validation })
        {
            // The deviations of an accuracy, and of a mean absolute error relative to it, over that many rows.
            double deviation = isAccuracy
                ? Math.Sqrt(Math.Max(validation * (1 - validation), 1.0 / rows) / rows)
                : 0.75 / Math.Sqrt(rows);
            if (isAccuracy && training - validation > Math.Max(LeastAccuracy, Deviations * deviation))
                return $"The accuracy is {Html.Number(training)} on the training rows and {Html.Number(validation)} on "
                    + "the validation rows.";
            if (!isAccuracy && validation > Math.Max(LeastErrorRatio, 1 + Deviations * deviation) * training)
                return $"The mean absolute error is {Html.Number(training)} on the training rows and "
                    + $"{Html.Number(validation)} on the validation rows.";
            return "";
        }
        return loss > LeastLossRatio * shown.Loss && loss - shown.Loss > (isAccuracy ? LeastLoss : 0)
            ? $"The loss is {Html.Number(shown.Loss)} in training and {Html.Number(loss)} on the validation rows."
            : "";
    }
}
