using System.Globalization;
using System.Text;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Comparisons of one kind. A ratio says how many times as fast ours is as what stands left of it.</summary>
/// <param name="Name">The table's name, one word.</param>
/// <param name="About">What is compared.</param>
/// <param name="Unit">What the columns show.</param>
/// <param name="Peers">The titles of the columns beside ours.</param>
/// <param name="Comparisons">The lines.</param>
sealed record Table(string Name, string About, Unit Unit, string[] Peers, IEnumerable<Comparison> Comparisons)
{
    const int NameWidth = 58, RatioWidth = 8;

    string[] Titles => ["ours", .. Peers];

    /// <summary>Prints the names of the comparisons.</summary>
    public void List()
    {
        foreach (Comparison comparison in Comparisons)
            Console.WriteLine($"{Name} {comparison.Name}");
    }

    /// <summary>Measures and prints one line after the other.</summary>
    public void Print()
    {
        Console.WriteLine();
        Console.WriteLine(About);
        Console.WriteLine(Head());
        foreach (Comparison comparison in Comparisons)
        {
            Console.Write(comparison.Name.PadRight(NameWidth));
            using (Contest contest = comparison.Prepare())
                Console.WriteLine(Line(contest));
            // Arrays of hundreds of megabytes make room for the next ones.
            GC.Collect();
        }
    }

    string Head()
    {
        var head = new StringBuilder($"{Name}, {Unit.Name}".PadRight(NameWidth));
        foreach (string title in Titles)
        {
            head.Append(title.PadLeft(WidthOf(title)));
            head.Append(title == Titles[0] ? "" : "ratio".PadLeft(RatioWidth));
        }
        return head.ToString();
    }

    string Line(Contest contest)
    {
        double?[] rates = Rates(contest);
        var line = new StringBuilder();
        for (int i = 0; i < Titles.Length; i++)
        {
            line.Append((rates[i] is { } rate ? Unit.Format(rate) : "-").PadLeft(WidthOf(Titles[i])));
            string ratio = (rates[0] / rates[i])?.ToString("F2", CultureInfo.InvariantCulture) ?? "-";
            line.Append(i == 0 ? "" : ratio.PadLeft(RatioWidth));
        }
        return line.ToString();
    }

    /// <summary>What each does in a second; null where there is nothing to measure.</summary>
    static double?[] Rates(Contest contest)
    {
        var times = new Queue<double>(Rounds.Seconds(
            [.. contest.Entries.OfType<Entry>().Select(entry => entry.Work)], contest.HasThreads, contest.Wait));
        return [.. contest.Entries.Select(entry => entry?.Amount / (entry is null ? null : times.Dequeue()))];
    }

    static int WidthOf(string title) => Math.Max(13, title.Length + 2);
}
