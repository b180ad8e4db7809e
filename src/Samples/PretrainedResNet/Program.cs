using Microsoft.ML;
using PretrainedResNet;

// --seeds 5 for mean and deviation over five seeds; the other numbers make the run shorter.
string[] options = ["--seeds", "--per-kind", "--epochs", "--test"];
if (args.Where((_, i) => i % 2 == 0).Except(options, StringComparer.OrdinalIgnoreCase).FirstOrDefault() is { } unknown)
{
    Console.Error.WriteLine($"There is no option '{unknown}'; there are {string.Join(", ", options)}.");
    return 1;
}
int seeds = Number("--seeds", 1), perKind = Number("--per-kind", 20), epochs = Number("--epochs", 6);
int others = Number("--test", 400);
var ways = new Ways(epochs);
Show.Title(
    "A pretrained ResNet-18 on few photographs",
    "The network of the package Microsoft.ML.DnnImageFeaturizer.ResNet18 has learned a thousand kinds of things from a " +
    $"million photographs. It now learns ten kinds of pictures from {perKind} of each, {PhotoFolder.Size} pixels wide " +
    $"and high and in color. {others} others are for the test.");
Run(1, "digits", Pictures.Digits());
if (Pictures.Fashion() is { } fashion)
    Run(2, "clothes (Fashion-MNIST)", fashion);

string page = Path.Combine(AppContext.BaseDirectory, "PretrainedResNet.html");
using (var folder = new PhotoFolder(seed: 1))
{
    var mlContext = new MLContext(seed: 1);
    (Pictures few, Pictures rest) = Pictures.Digits().Split(perKind, others, seed: 1);
    ways.Report(mlContext, folder.Write(mlContext, few), folder.Write(mlContext, rest), ways.All[2].Plan, seed: 1)
        .SaveHtml(page);
}
Show.File("A run as a page to look at in a browser:", page);
return 0;

void Run(int number, string name, Pictures pictures)
{
    Show.Heading(
        number, $"From photographs of things to {name}",
        $"A new head trains alone for {epochs} epochs; then all layers train for {epochs} more, with the batch " +
        "normalizations as they are (KeepFrozen), with their statistics kept (KeepStatistics), or in training mode " +
        "(Train).");
    double[][] accuracies = Show.Progress(
        seeds == 1 ? "1 seed" : $"{seeds} seeds", seeds * ways.Rows(10 * perKind),
        progress => Enumerable.Range(1, seeds).Select(seed => OfSeed(pictures, seed, progress)).ToArray());
    Show.Table(
        ["accuracy", "mean", "deviation", "worst", "best"],
        ways.All.Select((way, i) =>
        {
            double[] values = Array.ConvertAll(accuracies, accuracy => accuracy[i]);
            double mean = values.Average();
            double deviation = Math.Sqrt(values.Sum(value => Math.Pow(value - mean, 2)) / Math.Max(1, seeds - 1));
            return new[]
            {
                way.Name, $"{mean:0.0 %}", $"{deviation:0.0 %}", $"{values.Min():0.0 %}", $"{values.Max():0.0 %}",
            };
        }));
}

double[] OfSeed(Pictures pictures, int seed, RowProgress progress)
{
    var mlContext = new MLContext(seed);
    using var folder = new PhotoFolder(seed);
    (Pictures few, Pictures rest) = pictures.Split(perKind, others, seed);
    IDataView train = folder.Write(mlContext, few), test = folder.Write(mlContext, rest);
    return Array.ConvertAll(ways.All, way =>
    {
        double accuracy = ways.Accuracy(mlContext, train, test, way.Plan, seed);
        progress.Note = $"seed {seed}, {way.Name} {accuracy:0.0 %}";
        progress.Add(way.Plan.Phases.Sum(phase => (long)phase.Epochs) * few.Labels.Length);
        return accuracy;
    });
}

int Number(string name, int otherwise)
{
    int at = Array.FindIndex(args, argument => argument.Equals(name, StringComparison.OrdinalIgnoreCase));
    return at < 0 ? otherwise : int.Parse(args[at + 1]);
}
