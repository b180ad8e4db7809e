using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>A pipeline of ML.NET's on files of which each rank has its own.</summary>
static class RankPipeline
{
    /// <summary>Writes a file for each rank, with rows of its own number.</summary>
    public static void WriteFiles(string folder, int size)
    {
        for (int rank = 0; rank < size; rank++)
        {
            int own = rank;
            File.WriteAllLines(FileOf(folder, rank), Enumerable.Range(0, 150 + 37 * rank).Select(i =>
                string.Create(CultureInfo.InvariantCulture,
                    $"{1000 + Math.Sin(7 * i + own):R},{Math.Cos(3 * i + own) + i % 3:R},{i % 11},{i % 3}")));
        }
    }

    public static FittedPipeline Fit(ICollective ranks, string folder)
    {
        var mlContext = new MLContext(seed: 1);
        IDataView rows = mlContext.Data.LoadFromTextFile(
            FileOf(folder, ranks.Rank),
            [new("Features", DataKind.Single, 0, 2), new("Label", DataKind.UInt32, [new(3)], new(3))],
            separatorChar: ',');
        var engine = new CpuEngine(threads: 1, ranks);
        var pipeline = mlContext.Transforms.BatchNormalization(new BatchNormalizationEstimator.Options
        {
            Columns = [new("Features")],
            Engine = engine,
        }).Append(mlContext.MulticlassClassification.Trainers.BatchNormNetwork(
            new BatchNormNetworkMulticlassTrainer.Options
            {
                Network = Network.Input(3).Dense(8, useBias: false).BatchNormalization().ReLU().Dense(3),
                Optimizer = Optimizer.Sgd(0.02),
                BatchSize = 32,
                Epochs = 5,
                ValidationSplit = 0.2,
                Engine = engine,
            }));
        var model = pipeline.Fit(rows);
        return new FittedPipeline(mlContext, model, rows.Schema);
    }

    static string FileOf(string folder, int rank) => Path.Combine(folder, $"rows-{rank}.csv");
}

/// <summary>A fitted pipeline.</summary>
sealed record FittedPipeline(
    MLContext Context,
    TransformerChain<MulticlassPredictionTransformer<BatchNormNetworkMulticlassModelParameters>> Model,
    DataViewSchema Schema)
{
    public BatchNormalizationState Layer => Model.OfType<BatchNormalizationTransformer>().Single().Columns[0].State;

    public NetworkState Network => Model.LastTransformer.Model.State;

    /// <summary>Writes the bits of what was fitted; the zip of the model has the time in it.</summary>
    public void Save(Stream stream)
    {
        Layer.Save(stream, RankStatistics.Options);
        Model.LastTransformer.Model.Network.Save(stream, Network);
    }
}
