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
using DigitsFiles files = DigitsFiles.Create(TrainRows, Seed);
TextLoader loader = DigitsFiles.CreateLoader(mlContext);
IDataView train = mlContext.Data.Cache(loader.Load(files.Train)), test = mlContext.Data.Cache(loader.Load(files.Test));
Show.Title(
    "Batch normalization in an ML.NET pipeline",
    $"{files.TrainRows + files.TestRows:N0} handwritten digits, a line of 64 pixels (0 for paper to 16 for ink) and " +
    $"a label each: {files.TrainRows:N0} lines to train, {files.TestRows} to test, seed {Seed}.");

var evaluation = new Evaluation(mlContext);
(Model Plain, Model Normalized) models = CompareStep.Run(mlContext, evaluation, train, test);
BatchNormalizationTransformer tuned = ShiftStep.Run(mlContext, evaluation, models, train, test);
ITransformer chain = tuned.Append(models.Normalized.Classifier);
SaveStep.Run(mlContext, chain, loader, files);
OnnxStep.Run(mlContext, chain, test);
