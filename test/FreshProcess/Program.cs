// What is tested in a process of its own:
//   transform, fine-tune   loads a model without naming the library's types, and transforms a binary data file or
//                          fine-tunes the model with it; what comes out is saved
//   fit, train             fits generated rows, or trains on them, in whatever heap the environment allows

using Microsoft.ML;
using Microsoft.ML.BatchNorm.Testing;

switch (args)
{
    case ["transform", var model, var input, var output]:
        Models.Transform(model, input, output);
        break;
    case ["fine-tune", var model, var input, var output]:
        Models.FineTune(model, input, output);
        break;
    case ["fit", .. var options]:
        GeneratedFit.Run(options);
        break;
    case ["train", .. var options]:
        GeneratedTraining.Run(options);
        break;
    default:
        throw new ArgumentException($"There is nothing to do for '{string.Join(' ', args)}'.");
}

static class Models
{
    public static void Transform(string model, string input, string output)
    {
        var ml = new MLContext();
        using FileStream file = File.Create(output);
        ml.Data.SaveAsBinary(ml.Model.Load(model, out _).Transform(ml.Data.LoadFromBinary(input)), file);
    }

    public static void FineTune(string model, string input, string output)
    {
        var ml = new MLContext();
        IDataView data = ml.Data.LoadFromBinary(input);
        dynamic layer = ml.Model.Load(model, out _);
        ml.Model.Save((ITransformer)layer.FineTune(data), data.Schema, output);
    }
}
