using GpuTraining;
using Microsoft.ML;
using Microsoft.ML.Data;

const int Seed = 2026;
const int TrainRows = 1437;

var mlContext = new MLContext(Seed);
string[] lines = Digits.Lines();
new Random(Seed).Shuffle(lines);
int testRows = lines.Length - TrainRows;
using var files = new DigitsFolder(lines, ("train.csv", TrainRows), ("test.csv", testRows));
TextLoader loader = DigitsFolder.CreateLoader(mlContext);
IDataView train = mlContext.Data.Cache(loader.Load(files["train.csv"]));
IDataView test = mlContext.Data.Cache(loader.Load(files["test.csv"]));
Show.Title(
    "A network with batch normalization, trained by TorchSharp and served without it",
    $"{TrainRows:N0} handwritten digits of 64 pixels to train, {testRows} to test, seed {Seed}.");

if (DeviceStep.Run() is not { } engine)
    return 1;
ITransformer model = TrainStep.Run(engine, train, TrainRows, test, Seed);
ServeStep.Run(mlContext, model, test, files["model.zip"]);
return 0;
