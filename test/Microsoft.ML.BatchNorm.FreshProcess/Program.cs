// A process that has the library beside it and never names it: loads a model, and either transforms a binary data file
// and saves what comes out as another, or fine-tunes the model with the file and saves it.

using Microsoft.ML;

if (args is not [("transform" or "fine-tune") and string work, string model, string input, string output])
{
    throw new ArgumentException(
        "Four arguments are needed: transform or fine-tune, the model, the input's file, the output's file.");
}
var ml = new MLContext();
ITransformer transformer = ml.Model.Load(model, out _);
IDataView data = ml.Data.LoadFromBinary(input);
if (work == "transform")
{
    using FileStream file = File.Create(output);
    ml.Data.SaveAsBinary(transformer.Transform(data), file);
}
else
{
    dynamic layer = transformer;
    ml.Model.Save((ITransformer)layer.FineTune(data), data.Schema, output);
}
