using System.Diagnostics.Contracts;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Calibrators;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

namespace Microsoft.ML
{
    /// <summary>The network of a trained model, and its training.</summary>
    public static class NetworkModelExtensions
    {
        /// <summary>
        /// The network of a model, with what it has learned, such as for
        /// <see cref="BatchNormNetworkTrainerOptions.Pretrained"/>.
        /// </summary>
        /// <param name="model">
        /// A fitted or loaded prediction transformer with a network, or a chain with one among its steps.
        /// </param>
        /// <exception cref="ArgumentException">The model has no network, or several.</exception>
        /// <example>
        /// <code>
        /// mlContext.Model.Save(model, rows.Schema, "trained.zip");
        ///
        /// ITransformer loaded = mlContext.Model.Load("trained.zip", out _);
        /// var trainer = mlContext.MulticlassClassification.Trainers.BatchNormNetwork(
        ///     new BatchNormNetworkMulticlassTrainer.Options
        ///     {
        ///         Pretrained = loaded.GetNetwork(),
        ///         FineTune = FineTune.HeadThenAll(
        ///             headEpochs: 3, allEpochs: 5, headLearningRate: 0.01, learningRate: 0.001),
        ///     });
        /// </code>
        /// </example>
        [Pure]
        public static SavedNetwork GetNetwork(this ITransformer model)
        {
            Contracts.CheckValue(model, nameof(model));
            INetworkModelParameters found = NetworkModels.Find(null, model, nameof(model));
            return new SavedNetwork(found.Network, found.State);
        }

        /// <summary>
        /// What the training of a model's network has given, with the history of the run; null if the model was loaded,
        /// since it is not saved.
        /// </summary>
        /// <param name="model">
        /// A fitted or loaded prediction transformer with a network, or a chain with one among its steps.
        /// </param>
        /// <exception cref="ArgumentException">The model has no network, or several.</exception>
        /// <example>
        /// <code>
        /// TrainingResult run = model.GetTrainingResult()!;
        /// TrainingReport.Of(run).SaveHtml("training.html");
        /// </code>
        /// </example>
        [Pure]
        public static TrainingResult? GetTrainingResult(this ITransformer model)
        {
            Contracts.CheckValue(model, nameof(model));
            return NetworkModels.Find(null, model, nameof(model)).TrainingResult;
        }
    }
}

namespace Microsoft.ML.Trainers
{
    /// <summary>Finds the network in what ML.NET passes on.</summary>
    static class NetworkModels
    {
        /// <summary>
        /// The network's model in a prediction transformer, or in the only step of a chain that has one.
        /// </summary>
        /// <exception cref="ArgumentException">There is no network, or there are several.</exception>
        public static INetworkModelParameters Find(IExceptionContext? host, ITransformer transformer, string parameter)
        {
            (INetworkModelParameters Model, string Name)[] found =
            [
                .. ChainSteps.Of(transformer).Index()
                    .Select(step => (Model: Of(step.Item), Name: Name(step.Index, step.Item)))
                    .Where(step => step.Model is not null)!,
            ];
            return found.Length switch
            {
                1 => found[0].Model,
                0 => throw host.ExceptParam(
                    parameter,
                    "The model has no network: it must be a prediction transformer with one, or a chain with such a " +
                    "step."),
                _ => throw host.ExceptParam(
                    parameter,
                    $"The model has {found.Length} networks: {BatchNorm.Check.List(found, name: step => step.Name)}. " +
                    "Pass the prediction transformer of one of them."),
            };
        }

        /// <summary>The model itself, or the model inside a calibrated one; null if that has no network.</summary>
        public static INetworkModelParameters? Of(object model) => model switch
        {
            INetworkModelParameters network => network,
            IWeaklyTypedCalibratedModelParameters { WeaklyTypedSubModel: { } inner } => Of(inner),
            IPredictionTransformer<object> { Model: { } own } => Of(own),
            _ => null,
        };

        static string Name(int index, ITransformer step) => $"step {index + 1}" +
            (step is ISingleFeaturePredictionTransformer<object> { FeatureColumnName: var features }
                ? $" (features '{features}')"
                : "");
    }
}
