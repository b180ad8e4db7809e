using TransferScenarios;

(Digits train, Digits test) = Digits.Load();
Show.Title(
    "Batch normalization in transfer learning: five questions",
    "What a frozen layer does, what the layer computes, what moves its statistics, how a base is fine-tuned under a " +
    "new head, and a block of a convolutional network. Each is one file of C#; the data " +
    "are handwritten digits of 8 x 8 pixels.");

FrozenLayer.Run(train);
Formulas.Run();
Prediction.Run(train, test);
HeadThenBase.Run(train, test);
ConvolutionBlock.Run();
