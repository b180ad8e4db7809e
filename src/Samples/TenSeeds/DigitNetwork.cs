using Microsoft.ML.BatchNorm;

namespace TenSeeds;

/// <summary>The network of both steps, and the options to train it.</summary>
static class DigitNetwork
{
    /// <summary>64 pixels, 128 and 64 features, one output per class; with PyTorch's defaults.</summary>
    public static Network WithClasses(int classes) => Network.Input(Digits.PixelCount)
        .WithPreset(NetworkPreset.PyTorch)
        .Dense(128, useBias: false).BatchNormalization().ReLU()
        .Dense(64, useBias: false).BatchNormalization().ReLU()
        .Dense(classes, name: "classes");

    public static TrainingOptions Training(int seed) => new()
    {
        Optimizer = Optimizer.Adam(1e-3),
        BatchSize = 64,
        Epochs = 40,
        Seed = seed,
    };
}
