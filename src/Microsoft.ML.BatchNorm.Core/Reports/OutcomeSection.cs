using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What a network predicts for the validation rows: the confusion of its classes, or its residuals; and how far it is
/// from the training rows.
/// </summary>
static class OutcomeSection
{
    /// <summary>A table with more classes than this lists them one by one, not against each other.</summary>
    const int MostClasses = 12;

    const int MostConfusions = 20;

    public static string Of(TrainingPage run)
    {
        string section = run.Result switch
        {
            { Confusion.IsEmpty: false } result => Classes(result),
            { ValidationPredictions.IsEmpty: false } result => Residuals(result),
            _ => "",
        };
        section = Gap(run) + section;
        return section.Length == 0 ? "" : Html.Heading(2, "Validation rows") + section;
    }

    /// <summary>A remark if the network is better on the training rows than chance would make it.</summary>
    static string Gap(TrainingPage run)
    {
        const double LeastAccuracy = 0.02, LeastRatio = 2, Deviations = 3;
        if (run is not { Shown: { ValidationLoss: { } loss } epoch, Result: { ValidationRows: var rows and > 0 } })
            return "";
        string? gap = null;
        if (LossText.IsAccuracy(run.Setup.Options.Loss)
            && epoch is { Metric: { } training, ValidationMetric: { } validation })
        {
            double deviation = Math.Sqrt(Math.Max(validation * (1 - validation), 1.0 / rows) / rows);
            if (training - validation > Math.Max(LeastAccuracy, Deviations * deviation))
                gap = $"The accuracy is {Html.Number(training)} on the training rows and {Html.Number(validation)} here.";
        }
        else if (epoch.Metric is { } error && epoch.ValidationMetric is { } validationError)
        {
            if (validationError > LeastRatio * error)
                gap = $"The mean absolute error is {Html.Number(validationError / error)} times that of the training rows.";
        }
        else if (loss > LeastRatio * epoch.Loss && epoch.Loss > 0)
        {
            gap = $"The loss is {Html.Number(loss / epoch.Loss)} times that of training.";
        }
        return gap is null ? "" : Html.Paragraph(
            gap + " The network knows its training rows better than new ones. More rows, dropout, weight decay, early "
            + "stopping or a smaller network can help.");
    }

    static string Classes(TrainingResult result)
    {
        int classes = Math.Max(
            result.Confusion.Max(one => Math.Max(one.Actual, one.Predicted)) + 1, result.ClassNames.Length);
        string[] names = [.. Enumerable.Range(0, classes).Select(
            index => index < result.ClassNames.Length ? result.ClassNames[index] : $"{index}")];
        return (classes <= MostClasses ? Matrix(result.Confusion, names) : Confusions(result.Confusion, names))
            + PerClass(result.Confusion, names);
    }

    static string Matrix(ImmutableArray<ConfusionCount> confusion, string[] names)
    {
        int[,] rows = new int[names.Length, names.Length];
        foreach (ConfusionCount one in confusion)
            rows[one.Actual, one.Predicted] = one.Rows;
        var table = new HtmlTable("Confusion matrix", ["actual class", .. names.Select(name => $"taken for {name}")]);
        for (int actual = 0; actual < names.Length; actual++)
            table.Add([
                names[actual],
                .. Enumerable.Range(0, names.Length).Select(predicted => Html.Count(rows[actual, predicted])),
            ]);
        return Html.Heading(3, "Confusion matrix") + table;
    }

    static string Confusions(ImmutableArray<ConfusionCount> confusion, string[] names)
    {
        ConfusionCount[] wrong =
        [
            .. confusion.Where(one => one.Actual != one.Predicted).OrderByDescending(one => one.Rows)
                .Take(MostConfusions),
        ];
        if (wrong.Length == 0)
            return "";
        var table = new HtmlTable("Most frequent confusions", "actual class", "taken for", "rows");
        foreach (ConfusionCount one in wrong)
            table.Add(names[one.Actual], names[one.Predicted], Html.Count(one.Rows));
        return Html.Heading(3, "Most frequent confusions") + table;
    }

    static string PerClass(ImmutableArray<ConfusionCount> confusion, string[] names)
    {
        ILookup<int, ConfusionCount> actual = confusion.ToLookup(one => one.Actual),
            predicted = confusion.ToLookup(one => one.Predicted);
        var table = new HtmlTable("Classes", "class", "rows", "recall", "precision", "F1");
        for (int index = 0; index < names.Length; index++)
        {
            int rows = actual[index].Sum(one => one.Rows), taken = predicted[index].Sum(one => one.Rows);
            double right = actual[index].Where(one => one.Predicted == index).Sum(one => one.Rows);
            table.Add(
                names[index], Html.Count(rows), Share(right, rows), Share(right, taken), Share(2 * right, rows + taken));
        }
        return Html.Heading(3, "Classes") + table;

        static string Share(double part, int whole) => whole == 0 ? HtmlTable.None : Html.Number(part / whole);
    }

    static string Residuals(TrainingResult result)
    {
        ImmutableArray<TargetPrediction> all = result.ValidationPredictions;
        double[] residuals = [.. all.Select(one => (double)one.Prediction - one.Target)];
        if (!Array.TrueForAll(residuals, double.IsFinite))
            return "";
        double mean = all.Average(one => (double)one.Target);
        double squares = residuals.Sum(value => value * value);
        double total = all.Sum(one => (one.Target - mean) * (one.Target - mean));
        var facts = new List<(string, string)>
        {
            ("Mean residual", Html.Number(residuals.Average())),
            ("Root mean square", Html.Number(Math.Sqrt(squares / residuals.Length))),
            ("R²", total > 0 ? Html.Number(1 - squares / total) : HtmlTable.None),
        };
        return Html.Facts(facts) + Html.Paragraph(
                "A residual is the prediction minus the target"
                + (all.Length < result.ValidationRows
                    ? $"; {Html.Count(all.Length)} of {Html.Count(result.ValidationRows)} rows are shown."
                    : "."))
            + Figure.Grid([
                new HistogramChart("Residuals", "the validation rows", "residual (target's unit)", residuals, "row")
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
            drawing.Circle("marker s1", frame.AtX(row.Target), frame.AtY(row.Prediction), 1.6);
        return Figure.Of(
            "Prediction and target",
            drawing.ToSvg($"Predictions over targets of {Html.Count(rows.Length, "validation row")}."));
    }
}
