using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.Persistence;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(
    typeof(BatchNormNetworkMulticlassModelParameters), null, typeof(SignatureLoadModel),
    "Batch normalization network, multiclass", BatchNormNetworkMulticlassModelParameters.LoaderSignature)]

namespace Microsoft.ML.Trainers;

/// <summary>A network that gives the probability of each class: the softmax of its outputs.</summary>
public sealed class BatchNormNetworkMulticlassModelParameters : BatchNormNetworkModelParametersBase<VBuffer<float>>
{
    internal const string LoaderSignature = "BatchNormNetMulticlass";

    static readonly VersionInfo version = ModelEntry.FirstVersion("BNNETMUL", LoaderSignature);

    internal BatchNormNetworkMulticlassModelParameters(IHostEnvironment env, SavedNetwork saved)
        : base(env, nameof(BatchNormNetworkMulticlassModelParameters), saved)
    {
    }

    /// <summary>The number of classes.</summary>
    public int NumberOfClasses => Network.OutputShape.Size;

    /// <inheritdoc/>
    protected override PredictionKind PredictionKind => PredictionKind.MulticlassClassification;

    private protected override DataViewType OutputType =>
        new VectorDataViewType(NumberDataViewType.Single, NumberOfClasses);

    private protected override VersionInfo Version => version;

    internal static BatchNormNetworkMulticlassModelParameters Create(IHostEnvironment env, ModelLoadContext ctx) =>
        new(env, Load(env, ctx, version));

    private protected override ValueMapper<VBuffer<float>, VBuffer<float>> Mapper()
    {
        var row = new NetworkRow(Host, Predictor);
        int classes = NumberOfClasses;
        return (in VBuffer<float> features, ref VBuffer<float> scores) =>
        {
            VBufferEditor<float> editor = VBufferEditor.Create(ref scores, classes);
            row.Predict(features, editor.Values);
            Softmax(editor.Values);
            scores = editor.Commit();
        };
    }

    private protected override void SaveAsOnnx(OnnxContext ctx, string[] outputs, string features)
    {
        // ML.NET asks for the predicted label and the scores, in this order.
        var nodes = new OnnxNodes(ctx, LoaderSignature, outputs[1]);
        string logits = new OnnxNetwork(nodes, Network, State).Save(features);
        nodes.Add("Softmax", [logits], outputs[1]).AddAttribute("axis", 1L);
        string index = nodes.Variable("Index");
        OnnxNode argMax = nodes.Add("ArgMax", [outputs[1]], index);
        argMax.AddAttribute("axis", 1L);
        argMax.AddAttribute("keepdims", 1L);
        string key = nodes.Variable("Key");
        // A key counts from 1.
        nodes.Add("Add", [index, nodes.Constant("One", [1L], [1])], key);
        nodes.Add("Cast", [key], outputs[0]).AddAttribute("to", typeof(uint));
    }

    static void Softmax(Span<float> values)
    {
        float greatest = float.NegativeInfinity;
        foreach (float value in values)
            greatest = Math.Max(greatest, value);
        double sum = 0;
        foreach (ref float value in values)
        {
            value = MathF.Exp(value - greatest);
            sum += value;
        }
        foreach (ref float value in values)
            value = (float)(value / sum);
    }
}
