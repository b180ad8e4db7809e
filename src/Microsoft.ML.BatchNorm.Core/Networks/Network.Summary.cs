using System.Globalization;
using System.Text;

namespace Microsoft.ML.BatchNorm;

public sealed partial class Network
{
    /// <summary>
    /// A table as <c>keras.Model.summary(show_trainable=True)</c> prints it: layer and kind, the shape that comes out
    /// of a batch, parameters (a batch normalization's moving statistics among them), and which of them training
    /// changes; with the totals below. A network that branches has one column more: what each layer reads.
    /// </summary>
    public string Summary()
    {
        bool branches = nodes.Where((node, i) => !node.Inputs.SequenceEqual([i - 1])).Any();
        string[] titles = ["Layer (type)", "Output Shape", "Param #", "Trainable", .. Branch("Connected to")];
        string[][] rows = [.. Nodes.Select(string[] (node) =>
        [
            $"{node.Path} ({node.Layer.Kind})",
            $"(None, {node.Output.ToString()[1..^1]})",
            Number(node.ParameterCount),
            node.ParameterCount == 0 ? "-" : Switches(node),
            .. Branch(string.Join(", ", node.Inputs.Select(i => i < 0 ? "-" : Nodes[i].Path))),
        ])];
        int[] widths = [.. titles.Select((title, i) => rows.Select(row => row[i].Length).Append(title.Length).Max())];

        var text = new StringBuilder();
        Line(text, titles, widths);
        text.AppendJoin("  ", widths.Select(width => new string('-', width))).AppendLine();
        foreach (string[] row in rows)
            Line(text, row, widths);
        long total = Nodes.Sum(node => node.ParameterCount), trainable = Nodes.Sum(node => node.TrainableCount);
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"Total params: {Number(total)}");
        text.AppendLine(CultureInfo.InvariantCulture, $"Trainable params: {Number(trainable)}");
        text.AppendLine(CultureInfo.InvariantCulture, $"Non-trainable params: {Number(total - trainable)}");
        return text.ToString();

        string[] Branch(string cell) => branches ? [cell] : [];
    }

    /// <summary>The summary.</summary>
    public override string ToString() => Summary();

    /// <summary>Which of its parameters training changes, in words.</summary>
    internal static string Switches(NetworkNode node)
    {
        TensorSpec[] parameters = [.. node.Tensors.Where(tensor => tensor.Role != TensorRole.Other)],
            trained = [.. parameters.Where(tensor => tensor.IsTrained)];
        if (!node.IsTrainable)
            return "no";
        return trained.Length == parameters.Length
            ? "yes"
            : string.Join(", ", trained.Select(tensor => tensor.IsLearned ? tensor.Name : "statistics").Distinct());
    }

    static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    static void Line(StringBuilder text, string[] cells, int[] widths)
    {
        for (int i = 0; i < cells.Length; i++)
        {
            string cell = i == 2 ? cells[i].PadLeft(widths[i]) : cells[i].PadRight(widths[i]);
            text.Append(i == 0 ? "" : "  ").Append(i == cells.Length - 1 ? cell.TrimEnd() : cell);
        }
        text.AppendLine();
    }
}
