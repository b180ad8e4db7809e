using System.Globalization;
using System.Security.Cryptography;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.BatchNorm.Testing;

static class GeneratedTraining
{
    /// <summary>
    /// Trains on rows that are made as they are read, and prints the limit of the process's heap in bytes, the accuracy
    /// on the first rows, and a hash of the model.
    /// </summary>
    /// <param name="options">A row's length and the number of rows.</param>
    public static void Run(string[] options)
    {
        if (options is not [string length, string rows])
            throw new ArgumentException("A training takes two arguments.");
        CultureInfo culture = CultureInfo.InvariantCulture;
        var ml = new MLContext(1);
        var view = new GeneratedView(
            int.Parse(length, culture), long.Parse(rows, culture), Fill, counts: IsPositive, knowsRowCount: false);
        var model = ml.BinaryClassification.Trainers.BatchNormNetwork(new BatchNormNetworkBinaryTrainer.Options
        {
            FeatureColumnName = "X",
            LabelColumnName = "Counts",
            NetworkFactory = (input, outputs) => Network.Input(input.Dimensions)
                .BatchNormalization().Dense(4, useBias: false).BatchNormalization().ReLU().Dense(outputs),
            Optimizer = Optimizer.Adam(0.01),
            BatchSize = 1000,
            Epochs = 2,
            ValidationSplit = 0.1,
            EarlyStopping = new EarlyStopping(),
        }).Fit(view);
        IDataView few = ml.Data.TakeRows(view, 2000);
        double accuracy = ml.BinaryClassification.EvaluateNonCalibrated(
            model.Transform(few), "Counts", "Score", "PredictedLabel").Accuracy;
        using var stream = new MemoryStream();
        model.Model.SubModel.Network.SaveSafetensors(stream, model.Model.SubModel.State);

        Console.WriteLine(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        Console.WriteLine(accuracy.ToString(culture));
        Console.WriteLine(Convert.ToHexString(SHA256.HashData(stream.ToArray())));
    }

    /// <summary>The first half of the rows is of one class but for a few, so that they must be mixed.</summary>
    static bool IsPositive(long row) => row % 16 == 0 ? row % 32 == 0 : row >= 500_000;

    static void Fill(long row, Span<float> values)
    {
        for (int slot = 0; slot < values.Length; slot++)
            values[slot] = unchecked((uint)((uint)row * 2654435761u + (uint)slot * 40503u) * 2246822519u) * 2e-10f;
        values[(int)(row % 7)] += IsPositive(row) ? 3 : -3;
    }
}
