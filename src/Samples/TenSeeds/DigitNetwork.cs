using Microsoft.ML.BatchNorm;

namespace TenSeeds;

/// <summary>The network of both steps, and how it is trained from its first weights.</summary>
static class DigitNetwork
{
    /// <summary>64 pixels to 128 to 64 features to an output a class, with PyTorch's defaults.</summary>
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
