using TenSeeds;

(Digits train, Digits test) = Digits.Load();
Show.Title(
    "The digits from ten seeds",
    $"{train.Rows + test.Rows:N0} handwritten digits of 8 x 8 pixels: {train.Rows:N0} rows to train, {test.Rows} to " +
    "test, always the same ones. A seed decides the first weights, the order of the rows, and which rows have " +
    "labels. Everything runs on one thread.");

AccuracyStep.Run(train, test);
TransferStep.Run(train, test);
