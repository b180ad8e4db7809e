using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.Mpi;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

Mpi.Run(args, ranks =>
{
    var mlContext = new MLContext(seed: 1);
    (Digits train, Digits test) = Digits.Load();
    IDataView share = mlContext.Data.TakeShare(View(mlContext, train), ranks);
    var engine = new CpuEngine(threads: 1, ranks);

    // As on one process, but for the engine: exact statistics of all rows, then training on them in common steps.
    var pipeline = mlContext.Transforms.BatchNormalization(new BatchNormalizationEstimator.Options
    {
        Columns = [new("Features", "Pixels")],
        Engine = engine,
    }).Append(mlContext.MulticlassClassification.Trainers.BatchNormNetwork(new BatchNormNetworkMulticlassTrainer.Options
    {
        Network = Network.Input(Digits.PixelCount).Dense(64, useBias: false).BatchNormalization().ReLU().Dense(10),
        BatchSize = 64,
        Epochs = 40,
        Engine = engine,
    }));
    var model = pipeline.Fit(share);

    // Rank 0 shows what all have found.
    long[] rows = new long[ranks.Size];
    ranks.Gather(
        MemoryMarshal.AsBytes<long>([share.GetColumn<uint>("Label").Count()]), MemoryMarshal.AsBytes(rows.AsSpan()));
    byte[] hash = Hash(model.LastTransformer.Model), hashes = new byte[ranks.Size * hash.Length];
    ranks.Gather(hash, hashes);
    if (ranks.Rank > 0)
        return;
    Show.Title(
        $"One model from {ranks.Size} rank{(ranks.Size == 1 ? "" : "s")}",
        $"{train.Rows:N0} handwritten digits to train, {test.Rows} to test. Start it with mpirun -n 4 for 4 ranks.");
    Show.Table(
        ["rank", "rows of its own", "network, SHA-256"],
        rows.Select((count, rank) => new[]
        {
            $"{rank}", $"{count:N0}", Convert.ToHexString(hashes.AsSpan(rank * hash.Length, 8)),
        }));
    var metrics = mlContext.MulticlassClassification.Evaluate(model.Transform(View(mlContext, test)));
    Show.Text($"The network tells {metrics.MicroAccuracy:0.0 %} of the test digits.");
});

static IDataView View(MLContext mlContext, Digits digits) => mlContext.Data.LoadFromEnumerable(
    digits.Labels.Select((label, row) => new Row(
        digits.Pixels[(row * Digits.PixelCount)..((row + 1) * Digits.PixelCount)], (uint)label)));

static byte[] Hash(BatchNormNetworkMulticlassModelParameters model)
{
    var stream = new MemoryStream();
    model.Network.Save(stream, model.State);
    return SHA256.HashData(stream.ToArray());
}

sealed record Row([property: VectorType(Digits.PixelCount)] float[] Pixels, [property: KeyType(10)] uint Label);
