using DigitsPipeline;
using GpuTraining;
using Microsoft.ML;
using Microsoft.ML.Data;

const int Seed = 2026;
const int TrainRows = 1437;

var mlContext = new MLContext(Seed);
using DigitsFiles files = DigitsFiles.Create(TrainRows, Seed);
TextLoader loader = DigitsFiles.CreateLoader(mlContext);
IDataView train = mlContext.Data.Cache(loader.Load(files.Train)), test = mlContext.Data.Cache(loader.Load(files.Test));
Show.Title(
    "A network with batch normalization, trained by TorchSharp and served without it",
    $"{files.TrainRows:N0} handwritten digits of 64 pixels to train, {files.TestRows} to test, seed {Seed}.");

if (DeviceStep.Run() is not { } engine)
    return 1;
ITransformer model = TrainStep.Run(engine, train, files.TrainRows, test, Seed);
ServeStep.Run(mlContext, model, test, files.PathOf("model.zip"));
return 0;
