using System.Collections.Immutable;
using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(
    typeof(BatchNormNetworkMulticlassModelParameters), null, typeof(SignatureLoadModel),
    "Batch normalization network, multiclass", BatchNormNetworkMulticlassModelParameters.LoaderSignature)]

namespace Microsoft.ML.Trainers;

/// <summary>
/// Trains a network to tell classes apart, with softmax cross-entropy. The label is a key, the scores are
/// probabilities.
/// </summary>
/// <seealso cref="BatchNormNetworkCatalog"/>
public sealed class BatchNormNetworkMulticlassTrainer : BatchNormNetworkTrainerBase<
    MulticlassPredictionTransformer<BatchNormNetworkMulticlassModelParameters>,
    BatchNormNetworkMulticlassModelParameters>
{
    readonly double[] classWeights;

    internal BatchNormNetworkMulticlassTrainer(IHostEnvironment env, Options options)
        : base(
            HostOf<BatchNormNetworkMulticlassTrainer>(env, options), options,
            TrainerUtils.MakeU4ScalarColumn(options.LabelColumnName), Loss.SoftmaxCrossEntropy, options.ClassWeights) =>
        classWeights = [.. options.ClassWeights];

    /// <summary>The options of a <see cref="BatchNormNetworkMulticlassTrainer"/>.</summary>
    public sealed class Options : BatchNormNetworkTrainerOptions
    {
        /// <summary>
        /// A weight per class, in the order of the keys, which multiplies the rows' own weights. Default: none.
        /// </summary>
        public double[] ClassWeights { get; set; } = [];
    }

    /// <inheritdoc/>
    protected override PredictionKind PredictionKind => PredictionKind.MulticlassClassification;

    /// <inheritdoc/>
    protected override SchemaShape.Column[] GetOutputColumnsCore(SchemaShape inputSchema)
    {
        inputSchema.TryFindColumn(LabelColumn.Name, out SchemaShape.Column label);
        return
        [
            new SchemaShape.Column(
                DefaultColumnNames.Score, SchemaShape.Column.VectorKind.Vector, NumberDataViewType.Single, isKey: false,
                new SchemaShape(AnnotationUtils.AnnotationsForMulticlassScoreColumn(label))),
            new SchemaShape.Column(
                DefaultColumnNames.PredictedLabel, SchemaShape.Column.VectorKind.Scalar, NumberDataViewType.UInt32,
                isKey: true,
                new SchemaShape(label.Annotations.Where(column => column.Name == AnnotationUtils.Kinds.KeyValues)
                    .Concat(AnnotationUtils.GetTrainerOutputAnnotation()))),
        ];
    }

    /// <inheritdoc/>
    protected override MulticlassPredictionTransformer<BatchNormNetworkMulticlassModelParameters> MakeTransformer(
        BatchNormNetworkMulticlassModelParameters model, DataViewSchema trainSchema) =>
        new(Host, model, trainSchema, FeatureColumn.Name, LabelColumn.Name);

    /// <summary>Takes a key of any type; ML.NET's own check is for <see cref="uint"/> alone.</summary>
    protected override void CheckLabelCompatible(SchemaShape.Column labelCol)
    {
        if (!labelCol.IsKey || labelCol.Kind != SchemaShape.Column.VectorKind.Scalar)
            base.CheckLabelCompatible(labelCol);
    }

    private protected override int CheckLabel(RoleMappedData data)
    {
        data.CheckMulticlassLabel(out int classes);
        Host.CheckUserArg(
            classWeights.Length == 0 || classWeights.Length == classes, nameof(Options.ClassWeights),
            $"ClassWeights must be one for each of the label's {classes} classes, not {classWeights.Length}.");
        return classes;
    }

    private protected override BatchNormNetworkMulticlassModelParameters CreateModel(
        TrainingResult result, DataViewSchema.Column label) =>
        new(Host, new SavedNetwork(result.Network, result.State))
        {
            TrainingResult = result.WithClassNames(KeyNames(label.Annotations)),
        };

    /// <summary>The keys' values in words; none if they are not known, or neither texts nor numbers.</summary>
    static ImmutableArray<string> KeyNames(DataViewSchema.Annotations annotations)
    {
        Type? type = (annotations.Schema.GetColumnOrNull(AnnotationUtils.Kinds.KeyValues)?.Type as VectorDataViewType)
            ?.ItemType.RawType;
        return type == typeof(ReadOnlyMemory<char>) ? Names<ReadOnlyMemory<char>>()
            : type == typeof(float) ? Names<float>()
            : type == typeof(double) ? Names<double>()
            : type == typeof(sbyte) ? Names<sbyte>()
            : type == typeof(byte) ? Names<byte>()
            : type == typeof(short) ? Names<short>()
            : type == typeof(ushort) ? Names<ushort>()
            : type == typeof(int) ? Names<int>()
            : type == typeof(uint) ? Names<uint>()
            : type == typeof(long) ? Names<long>()
            : type == typeof(ulong) ? Names<ulong>()
            : type == typeof(bool) ? Names<bool>()
            : [];

        ImmutableArray<string> Names<T>()
        {
            VBuffer<T> keys = default;
            annotations.GetValue(AnnotationUtils.Kinds.KeyValues, ref keys);
            return [.. keys.DenseValues().Select(key => FormattableString.Invariant($"{key}"))];
        }
    }
}

/// <summary>A network that gives the probability of each class: the softmax of its outputs.</summary>
public sealed class BatchNormNetworkMulticlassModelParameters : BatchNormNetworkModelParametersBase<VBuffer<float>>
{
    internal const string LoaderSignature = "BatchNormNetMulticlass";

    static readonly VersionInfo version = ModelEntry.FirstVersion("BNNETMUL", LoaderSignature);

    internal BatchNormNetworkMulticlassModelParameters(IHostEnvironment env, SavedNetwork saved)
        : base(
            env, nameof(BatchNormNetworkMulticlassModelParameters), PredictionKind.MulticlassClassification, version,
            saved)
    {
    }

    /// <summary>The number of classes.</summary>
    public int NumberOfClasses => Network.OutputShape.Size;

    private protected override DataViewType OutputType =>
        new VectorDataViewType(NumberDataViewType.Single, NumberOfClasses);

    internal static BatchNormNetworkMulticlassModelParameters Create(IHostEnvironment env, ModelLoadContext ctx) =>
        new(env, Load(env, ctx, version));

    private protected override Delegate Mapper(NetworkRow row)
    {
        int classes = NumberOfClasses;
        return (ValueMapper<VBuffer<float>, VBuffer<float>>)((in features, ref scores) =>
        {
            VBufferEditor<float> editor = VBufferEditor.Create(ref scores, classes);
            row.Predict(features, editor.Values);
            Softmax(editor.Values);
            scores = editor.Commit();
        });
    }

    private protected override void SaveAsOnnx(OnnxNodes nodes, string outputs, string[] columns, string score)
    {
        nodes.Add("Softmax", [outputs], score).AddAttribute("axis", 1L);
        string index = nodes.Variable("Index");
        OnnxNode argMax = nodes.Add("ArgMax", [score], index);
        argMax.AddAttribute("axis", 1L);
        argMax.AddAttribute("keepdims", 1L);
        string key = nodes.Variable("Key");
        // A key counts from 1.
        nodes.Add("Add", [index, nodes.Constant("One", [1L], [1])], key);
        nodes.Add("Cast", [key], columns[0]).AddAttribute("to", typeof(uint));
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
