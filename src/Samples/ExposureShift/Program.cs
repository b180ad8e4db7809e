using ExposureShift;
using Microsoft.ML.BatchNorm;

const int Seed = 2026;
const int TrainRows = 1437;

Digits all = Digits.All(ink: 16);
var random = new Random(Seed);
(Digits train, Digits test) = all.Split(TrainRows, random);
Show.Title(
    "Batch normalization under another exposure",
    $"{all.Rows:N0} handwritten digits of {Digits.Width} x {Digits.Width} pixels, from 0 (paper) to {all.Ink} " +
    $"(ink): {train.Rows:N0} rows to train, {test.Rows} to test, seed {Seed}. The layer has one channel per " +
    "pixel. Tables name pixels by row and column.");

// Keras's numbers: momentum 0.99, epsilon 0.001.
BatchNormalizationOptions options = BatchNormalizationOptions.Keras;

BatchNormalizationState fitted = FitStep.Run(options, train, random);
InferenceStep.Run(options, fitted, train, test);
ShiftStep.Run(options, fitted, train, test, random);
FreezeStep.Run(options, fitted, train);
SaveStep.Run(options, fitted, test);
