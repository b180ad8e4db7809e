using Microsoft.ML;
using Microsoft.ML.Data;
using QuickStart;

Wine.Compare();

Console.WriteLine();
Console.WriteLine("What a fitted layer can do and a normalizer cannot, on handwritten digits:");
using var files = new DigitsFolder(
    Digits.Lines(), ("digits.csv", 1000), ("test.csv", 400), ("new-digits.csv", 397));
var mlContext = new MLContext(seed: 1);
TextLoader loader = mlContext.Data.CreateTextLoader(
    [new("Pixels", DataKind.Single, 0, 63), new("Label", DataKind.UInt32, [new(64)], new(10))], separatorChar: ',');

// Fit: the exact mean and variance of each pixel, and a classifier on the normalized ones.
var pipeline = mlContext.Transforms.BatchNormalization("Features", "Pixels")
    .Append(mlContext.MulticlassClassification.Trainers.LbfgsMaximumEntropy());
var model = pipeline.Fit(loader.Load(files["digits.csv"]));
Evaluate("fitted on 1,000 digits", model);

// Fine-tune: the layer's statistics take in new rows, without labels; the classifier after it does not change.
IDataView rows = loader.Load(files["new-digits.csv"]);
var tuned = model.FineTuneBatchNormalization(rows);
Evaluate("fine-tuned with 397 more", tuned);

// Save: a process that loads the file does not have to call this library first.
mlContext.Model.Save(tuned, loader, files["model.zip"]);
Evaluate("saved and loaded", new MLContext().Model.Load(files["model.zip"], out _));

// Export: the same model for any program that runs ONNX.
using (FileStream onnx = File.Create(files["model.onnx"]))
    mlContext.Model.ConvertToOnnx(tuned, rows, onnx);
Console.WriteLine($"  {"exported to ONNX",-26}{new FileInfo(files["model.onnx"]).Length:N0} bytes");

Console.WriteLine(
    """

    What to try next:
      the same step by step          dotnet run -c Release --project src/Samples/DigitsPipeline
      frozen or fine-tuned?          dotnet run -c Release --project src/Samples/FrozenOrFineTuned
      has my data drifted?           dotnet run -c Release --project src/Samples/Drift
      your own columns               mlContext.Transforms.BatchNormalization("Features"), as README.md shows
    """);

void Evaluate(string what, ITransformer fitted)
{
    var metrics = mlContext.MulticlassClassification.Evaluate(fitted.Transform(loader.Load(files["test.csv"])));
    Console.WriteLine($"  {what,-26}accuracy {metrics.MicroAccuracy:P1}, log-loss {metrics.LogLoss:F5}");
}
