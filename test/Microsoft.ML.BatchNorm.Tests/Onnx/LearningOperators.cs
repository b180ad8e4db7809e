namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>Operators of ONNX's machine learning domain, which ML.NET's own components become.</summary>
static class LearningOperators
{
    public static Tensor FeatureVectorizer(OnnxNode node, Tensor[] x)
    {
        long[] widths = node.Integers("inputdimensions");
        int rows = (int)x[0].Shape[0];
        var values = new List<double>();
        for (int row = 0; row < rows; row++)
        {
            for (int i = 0; i < x.Length; i++)
                values.AddRange(x[i].Values.Skip(row * (int)widths[i]).Take((int)widths[i]));
        }
        return new Tensor(Element.Single, [rows, widths.Sum()], values);
    }

    public static Tensor Scaler(OnnxNode node, Tensor x)
    {
        float[] offset = node.Singles("offset"), scale = node.Singles("scale");
        return new Tensor(
            Element.Single, x.Shape,
            x.Values.Select((value, i) =>
                (double)(((float)value - offset[i % offset.Length]) * scale[i % scale.Length])));
    }

    /// <summary>The classes, and the softmax of their scores.</summary>
    public static Tensor[] LinearClassifier(OnnxNode node, Tensor x)
    {
        Assert.AreEqual("SOFTMAX", node.Text("post_transform"));
        float[] coefficients = node.Singles("coefficients"), intercepts = node.Singles("intercepts");
        long[] labels = node.Integers("classlabels_ints");
        int width = coefficients.Length / intercepts.Length;
        var classes = new List<double>();
        var probabilities = new List<double>();
        foreach (double[] row in x.Values.Chunk(width))
        {
            double[] scores = [.. intercepts.Select((intercept, k) =>
                intercept + row.Select((value, i) => value * coefficients[k * width + i]).Sum())];
            double[] powers = Array.ConvertAll(scores, score => Math.Exp(score - scores.Max()));
            classes.Add(labels[Array.IndexOf(scores, scores.Max())]);
            probabilities.AddRange(powers.Select(power => power / powers.Sum()));
        }
        return [
            new Tensor(Element.Int64, [classes.Count], classes),
            new Tensor(Element.Single, [classes.Count, intercepts.Length], probabilities),
        ];
    }
}
