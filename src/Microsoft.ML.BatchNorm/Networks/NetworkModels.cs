using Microsoft.ML.Calibrators;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

/// <summary>Where a trained network is in what ML.NET hands on.</summary>
static class NetworkModels
{
    /// <summary>The network's model in a prediction transformer, or in the last one of a chain.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static INetworkModelParameters Find(IExceptionContext host, ITransformer transformer, string parameter) =>
        Find(transformer) ?? throw host.ExceptParam(
            parameter,
            "The model has no network: it must be a prediction transformer with one, or a chain whose last " +
            "transformer is one.");

    /// <summary>The model itself, or the one under a calibrator; null where that has no network.</summary>
    public static INetworkModelParameters? Of(object model) => model switch
    {
        INetworkModelParameters network => network,
        IWeaklyTypedCalibratedModelParameters { WeaklyTypedSubModel: { } inner } => Of(inner),
        _ => null,
    };

    static INetworkModelParameters? Find(ITransformer? transformer) => transformer switch
    {
        IPredictionTransformer<object> { Model: { } model } => Of(model),
        IEnumerable<ITransformer> chain => Find(chain.LastOrDefault()),
        _ => null,
    };
}
