using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.Import;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms.Image;

namespace PretrainedResNet;

/// <summary>The ways to fine-tune the ResNet-18 of ML.NET's own package on photographs.</summary>
/// <param name="epochs">The epochs of each phase.</param>
sealed class Ways(int epochs)
{
    const int BatchSize = 16;
    const double HeadRate = 3e-3, AllRate = 1e-4;

    /// <summary>
    /// The network until its last activation, since its own pooling is for images of 224 x 224; it takes pixels.
    /// </summary>
    readonly SavedNetwork pretrained = OnnxImport.Load(
        Path.Combine(AppContext.BaseDirectory, "DnnImageModels", "ResNet18Onnx", "ResNet18.onnx"),
        inputShape: new(3, PhotoFolder.Size, PhotoFolder.Size), until: "ReLU393_Output_0")
        .WithNormalization(ImageNormalization.Caffe);

    public (string Name, FineTuningPlan Plan)[] All { get; } =
    [
        ("head alone", FineTune.HeadOnly(epochs, HeadRate)),
        .. Enum.GetValues<FineTuneBatchNormalization>().Select(
            way => ($"{way}", FineTune.HeadThenAll(epochs, epochs, HeadRate, AllRate, way))),
    ];

    /// <summary>Each epoch sees each row once.</summary>
    public long Rows(int photos) => All.Sum(way => way.Plan.Phases.Sum(phase => (long)phase.Epochs)) * photos;

    /// <summary>The accuracy on other photographs.</summary>
    public double Accuracy(MLContext mlContext, IDataView train, IDataView test, FineTuningPlan plan, int seed)
    {
        var pipeline = Pixels(mlContext).Append(mlContext.MulticlassClassification.Trainers.BatchNormNetwork(
            new BatchNormNetworkMulticlassTrainer.Options
            {
                Pretrained = pretrained, FineTune = plan, BatchSize = BatchSize, Seed = seed,
            }));
        return mlContext.MulticlassClassification.Evaluate(pipeline.Fit(train).Transform(test)).MicroAccuracy;
    }

    /// <summary>Trains once more, and makes a page of the run.</summary>
    public TrainingReport Report(MLContext mlContext, IDataView train, IDataView test, FineTuningPlan plan, int seed)
    {
        TransformerChain<ImagePixelExtractingTransformer> pixels = Pixels(mlContext).Fit(train);
        TrainingData rows = Data(pixels.Transform(train)), others = Data(pixels.Transform(test));
        Network network = pretrained.Network.WithHead((int)rows.Targets.ToArray().Max() + 1);
        var options = new TrainingOptions
        {
            BatchSize = BatchSize, Seed = seed, RecomputeStatistics = true, EvaluateTrainingData = true,
        };
        return TrainingReport.Of(
            NetworkTrainer.Train(network, network.Initialize(pretrained.State, seed), rows, options, plan, others),
            "ResNet-18 on photographs of digits");
    }

    static EstimatorChain<ImagePixelExtractingTransformer> Pixels(MLContext mlContext) =>
        mlContext.Transforms.Conversion.MapValueToKey("Label", "Kind")
            .Append(mlContext.Transforms.LoadImages("Image", "", "Path"))
            .Append(mlContext.Transforms.ResizeImages("Image", PhotoFolder.Size, PhotoFolder.Size))
            .Append(mlContext.Transforms.ExtractPixels("Features", "Image"));

    static TrainingData Data(IDataView view)
    {
        float[][] pixels = [.. view.GetColumn<float[]>("Features")];
        return new TrainingData(
            pixels.Length, pixels.SelectMany(row => row).ToArray(),
            view.GetColumn<uint>("Label").Select(key => (float)(key - 1)).ToArray());
    }
}
