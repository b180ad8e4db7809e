namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>How a runtime computes batch normalization; the standard leaves it free.</summary>
public enum Grouping
{
    /// <summary><c>(x − mean)/√(var + ε)·scale + B</c>, as the standard writes it.</summary>
    AsWritten,

    /// <summary><c>x·a + b</c> with <c>a</c> and <c>b</c> computed once, as ONNX Runtime does.</summary>
    Folded,
}

/// <summary>Computes every node of a graph, each operation rounded to the element's type.</summary>
static class OnnxEvaluator
{
    /// <summary>The outputs by name, of which ML.NET makes <c>Y.output</c> for a column Y.</summary>
    public static Dictionary<string, Tensor> Run(
        OnnxModel model, Grouping grouping, IReadOnlyDictionary<string, Tensor> inputs)
    {
        var values = new Dictionary<string, Tensor>(model.Constants);
        foreach (OnnxVariable input in model.Inputs)
        {
            AssertFits(input, inputs[input.Name]);
            values.Add(input.Name, inputs[input.Name]);
        }
        foreach (OnnxNode node in model.Nodes)
        {
            Tensor[] x = Array.ConvertAll(node.Inputs, name => values[name]);
            Tensor[] y = Compute(node, x, grouping);
            for (int i = 0; i < node.Outputs.Length; i++)
                values.Add(node.Outputs[i], y[i]);
        }
        foreach (OnnxVariable variable in model.Outputs.Concat(model.Declared))
        {
            if (values.TryGetValue(variable.Name, out Tensor? value))
                AssertFits(variable, value);
        }
        return model.Outputs.ToDictionary(output => output.Name, output => values[output.Name]);
    }

    static Tensor[] Compute(OnnxNode node, Tensor[] x, Grouping grouping) => (node.Domain, node.Type) switch
    {
        ("", "BatchNormalization") => [StandardOperators.BatchNormalization(node, x, grouping)],
        ("", "Sub") => [StandardOperators.Elementwise(x[0], x[1], (a, b) => a - b)],
        ("", "Add") => [StandardOperators.Elementwise(x[0], x[1], (a, b) => a + b)],
        ("", "Mul") => [StandardOperators.Elementwise(x[0], x[1], (a, b) => a * b)],
        ("", "Div") => [StandardOperators.Elementwise(x[0], x[1], (a, b) => a / b)],
        ("", "Clip") => [StandardOperators.Elementwise(x[0], x[1], Math.Max)],
        ("", "Sum") => [x.Aggregate((a, b) => StandardOperators.Elementwise(a, b, (c, d) => c + d))],
        ("", "Max") => [x.Aggregate((a, b) => StandardOperators.Elementwise(a, b, Math.Max))],
        ("", "Not") => [x[0].With(x[0].Values.Select(value => 1 - value))],
        ("", "Concat") => [NetworkOperators.Concat(node, x)],
        ("", "Relu") => [x[0].With(x[0].Values.Select(value => Math.Max(value, 0)))],
        ("", "LeakyRelu") => [x[0].With(x[0].Values.Select(value => value > 0 ? value : node.Single("alpha") * value))],
        ("", "Sigmoid") => [x[0].With(x[0].Values.Select(value => 1 / (1 + Math.Exp(-value))))],
        ("", "Tanh") => [x[0].With(x[0].Values.Select(Math.Tanh))],
        ("", "Erf") => [x[0].With(x[0].Values.Select(NetworkOperators.Erf))],
        ("", "Gemm") => [NetworkOperators.Gemm(node, x)],
        ("", "Conv") => [NetworkOperators.Conv(node, x)],
        ("", "MaxPool") => [NetworkOperators.MaxPool(node, x[0])],
        ("", "AveragePool") => [NetworkOperators.AveragePool(node, x[0])],
        ("", "GlobalAveragePool") => [NetworkOperators.GlobalAveragePool(x[0])],
        ("", "Flatten") => [NetworkOperators.Flatten(x[0])],
        ("", "Reshape") => [NetworkOperators.Reshape(x[0], x[1])],
        ("", "Softmax") => [NetworkOperators.Softmax(node, x[0])],
        ("", "ArgMax") => [NetworkOperators.ArgMax(node, x[0])],
        ("", "Transpose") => [StandardOperators.Transpose(x[0], node.Integers("perm"))],
        ("", "Cast") => [new Tensor((Element)node.Integer("to"), x[0].Shape, x[0].Values)],
        ("", "Identity") => [x[0]],
        ("", "Unsqueeze") => [StandardOperators.Unsqueeze(x[0], node.Integers("axes"))],
        ("ai.onnx.ml", "FeatureVectorizer") => [LearningOperators.FeatureVectorizer(node, x)],
        ("ai.onnx.ml", "Scaler") => [LearningOperators.Scaler(node, x[0])],
        ("ai.onnx.ml", "Binarizer") =>
            [x[0].With(x[0].Values.Select(value => value > node.Single("threshold") ? 1.0 : 0))],
        ("ai.onnx.ml", "LinearClassifier") => LearningOperators.LinearClassifier(node, x[0]),
        _ => throw new NotSupportedException($"The evaluator does not know operator '{node.Domain}:{node.Type}'."),
    };

    static void AssertFits(OnnxVariable declared, Tensor value)
    {
        Assert.AreEqual(declared.Element, value.Element, declared.Name);
        Assert.HasCount(declared.Shape.Length, value.Shape, declared.Name);
        for (int d = 0; d < value.Shape.Length; d++)
        {
            if (declared.Shape[d] >= 0)
                Assert.AreEqual(declared.Shape[d], value.Shape[d], $"dimension {d} of {declared.Name}");
        }
    }
}
