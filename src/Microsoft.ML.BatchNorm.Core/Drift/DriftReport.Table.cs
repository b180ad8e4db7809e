using System.Globalization;
using System.Text;

namespace Microsoft.ML.BatchNorm;

public sealed partial class DriftReport
{
    const int ShownChannels = 20;

    static readonly string[] Headers =
        ["channel", "mean", "was", "sd", "was", "shift", "ratio", "KL", "p-value"];

    /// <summary>The table of the worst 20 channels.</summary>
    public override string ToString() => ToTable(ShownChannels);

    /// <summary>
    /// A table of the worst channels in plain text, lines ended by a line feed: mean and standard deviation, and what
    /// they were in training; the standardized mean shift, the variance ratio, the symmetric Kullback–Leibler
    /// divergence, and the corrected p-value.
    /// </summary>
    /// <param name="rows">How many channels to show at most, at least 1; a last line counts the others.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is not at least one row.</exception>
    public string ToTable(int rows)
    {
        Check.Positive(rows, nameof(rows));
        string[][] cells = [Headers, .. Channels.Take(rows).Select(Cells)];
        int[] widths = [.. Headers.Select((_, column) => cells.Max(row => row[column].Length))];
        var text = new StringBuilder();
        foreach (string[] row in cells)
        {
            text.Append(row[0].PadRight(widths[0]));
            for (int column = 1; column < row.Length; column++)
                text.Append("  ").Append(row[column].PadLeft(widths[column]));
            text.Append('\n');
        }
        if (rows < Channels.Count)
            text.Append(CultureInfo.InvariantCulture, $"and {Channels.Count - rows} more channels\n");
        if (!HasTrainingCounts)
            text.Append("The number of training values is not known; their statistics are taken as exact.\n");
        return text.ToString();
    }

    static string[] Cells(ChannelDrift channel) =>
    [
        channel.Name ?? channel.Channel.ToString(CultureInfo.InvariantCulture),
        Number(channel.Mean),
        Number(channel.TrainingMean),
        Number(Math.Sqrt(channel.Variance)),
        Number(Math.Sqrt(channel.TrainingVariance)),
        Number(channel.MeanShift),
        Number(channel.VarianceRatio),
        Number(channel.Divergence),
        channel.AdjustedPValue.ToString(
            channel.AdjustedPValue is > 0 and < 1e-3 ? "0.0E0" : "0.000", CultureInfo.InvariantCulture),
    ];

    static string Number(double value) =>
        double.IsFinite(value) ? value.ToString("G3", CultureInfo.InvariantCulture)
        : double.IsNaN(value) ? "-"
        : value > 0 ? "inf" : "-inf";
}
