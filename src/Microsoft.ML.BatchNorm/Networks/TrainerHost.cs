using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

/// <summary>What a trainer needs before its base can be made.</summary>
static class TrainerHost
{
    public static IHost Of<TTrainer>(IHostEnvironment env, BatchNormNetworkTrainerOptions options)
    {
        IHost host = Contracts.CheckRef(env, nameof(env)).Register(typeof(TTrainer).Name);
        host.CheckValue(options, nameof(options));
        host.CheckNonEmpty(options.LabelColumnName, nameof(options.LabelColumnName));
        host.CheckNonEmpty(options.FeatureColumnName, nameof(options.FeatureColumnName));
        return host;
    }
}
