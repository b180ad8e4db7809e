using DigitsPipeline;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

const int Seed = 2026;
const int TrainRows = 1437;

if (args is ["--predict", var modelPath, var dataPath])
{
    Predictions.Print(modelPath, dataPath);
    return;
}

var mlContext = new MLContext(Seed);
string[] lines = Digits.Lines();
new Random(Seed).Shuffle(lines);
int testRows = lines.Length - TrainRows;
using var files = new DigitsFolder(lines, ("train.csv", TrainRows), ("test.csv", testRows));
TextLoader loader = DigitsFolder.CreateLoader(mlContext);
IDataView train = mlContext.Data.Cache(loader.Load(files["train.csv"]));
IDataView test = mlContext.Data.Cache(loader.Load(files["test.csv"]));
Show.Title(
    "Batch normalization in an ML.NET pipeline",
    $"{lines.Length:N0} handwritten digits, each a line of 64 pixels (0 for paper to 16 for ink) and " +
    $"a label: {TrainRows:N0} lines to train, {testRows} to test, seed {Seed}.");

var evaluation = new Evaluation(mlContext);
(Model Plain, Model Normalized) models = CompareStep.Run(mlContext, evaluation, train, test);
BatchNormalizationTransformer tuned = ShiftStep.Run(mlContext, evaluation, models, train, test);
ITransformer chain = tuned.Append(models.Normalized.Classifier);
SaveStep.Run(mlContext, chain, loader, files);
OnnxStep.Run(mlContext, chain, test);
