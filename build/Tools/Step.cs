using System.Diagnostics;
using System.Globalization;

namespace Tools;

/// <summary>One line on the console for a step: its name when it starts, the rest when it ends.</summary>
sealed class Step
{
    readonly Stopwatch watch = Stopwatch.StartNew();

    public Step(string name) => Console.Write($"{name}: ");

    /// <summary>Ends the line with what came of the step and how long it took.</summary>
    public void End(string outcome) =>
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{outcome} ({watch.Elapsed.TotalSeconds:0.0} s)"));

    /// <summary>Ends the line, and shows all that the failed command wrote.</summary>
    public void Fail(string output)
    {
        End("failed");
        Console.WriteLine(output);
    }
}
