// A process that has the library beside it and never names it: loads a model, transforms a binary data file, and saves
// what comes out as another.

using Microsoft.ML;

if (args is not [string model, string input, string output])
    throw new ArgumentException("Three arguments are needed: the model, the input's file, the output's file.");
var ml = new MLContext();
ITransformer transformer = ml.Model.Load(model, out _);
IDataView transformed = transformer.Transform(ml.Data.LoadFromBinary(input));
using FileStream file = File.Create(output);
ml.Data.SaveAsBinary(transformed, file);
