using Microsoft.ML.Data;

namespace Serving;

/// <summary>What a request holds: 8 x 8 pixels, from 0 for paper to 16 for ink.</summary>
class Digit
{
    public const int PixelCount = 64, Classes = 10;

    [VectorType(PixelCount)]
    public float[] Pixels { get; set; } = [];
}

/// <summary>What the model learns from.</summary>
sealed class LabeledDigit : Digit
{
    /// <summary>The digit plus one: a key's values start at 1.</summary>
    [KeyType(Classes)]
    public uint Label { get; set; }
}

/// <summary>What the model gives.</summary>
sealed class Prediction
{
    /// <summary>The digit plus one.</summary>
    [KeyType(Digit.Classes)]
    public uint PredictedLabel { get; set; }

    /// <summary>The probability of each digit.</summary>
    public float[] Score { get; set; } = [];
}
