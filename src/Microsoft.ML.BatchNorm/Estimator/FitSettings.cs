using System.Text.Json.Serialization;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;
using Defaults = Microsoft.ML.Transforms.BatchNormalizationEstimator.Defaults;
using Options = Microsoft.ML.Transforms.BatchNormalizationEstimator.Options;

namespace Microsoft.ML.Transforms;

/// <summary>
/// How columns are fitted, whichever they are: what an estimator was told, and what a transformer that it fitted goes
/// on with. The values are those of <see cref="Options"/>, as they were when the estimator was made.
/// </summary>
sealed record FitSettings
{
    public static FitSettings Default { get; } = new();

    public int BatchSize { get; init; } = Defaults.BatchSize;

    public int Epochs { get; init; } = Defaults.Epochs;

    public bool Shuffle { get; init; }

    public int? Seed { get; init; }

    public string? MaskColumnName { get; init; }

    public DownstreamStatistics TrainDownstreamOn { get; init; }

    public bool WarnOnDrift { get; init; }

    /// <summary>Of this process, like the engine: no bit depends on it, and it is not stored.</summary>
    [JsonIgnore]
    public int? NumberOfThreads { get; init; }

    [JsonIgnore]
    public IStatisticsEngine? Engine { get; init; }

    /// <summary>Of an estimator's fits alone; what it fitted does not have it.</summary>
    [JsonIgnore]
    public CancellationToken CancellationToken { get; init; }

    public static FitSettings Of(IHostEnvironment env, Options options)
    {
        Contracts.CheckValue(env, nameof(env));
        env.CheckValue(options, nameof(options));
        env.CheckUserArg(
            options.MaskColumnName is not "", nameof(options.MaskColumnName),
            "MaskColumnName must be the name of a column or null, not empty.");
        return new FitSettings
        {
            BatchSize = options.BatchSize,
            Epochs = options.Epochs,
            Shuffle = options.Shuffle,
            Seed = options.Seed,
            MaskColumnName = options.MaskColumnName,
            TrainDownstreamOn = options.TrainDownstreamOn,
            WarnOnDrift = options.WarnOnDrift,
            NumberOfThreads = options.NumberOfThreads,
            Engine = options.Engine,
            CancellationToken = options.CancellationToken,
        };
    }

    /// <summary>Throws ML.NET's argument error where a value is out of range.</summary>
    public void Check(IExceptionContext host)
    {
        host.CheckUserArg(BatchSize > 0, nameof(BatchSize), $"BatchSize must be positive, not {BatchSize}.");
        host.CheckUserArg(Epochs > 0, nameof(Epochs), $"Epochs must be positive, not {Epochs}.");
        host.CheckUserArg(
            NumberOfThreads is null or > 0, nameof(NumberOfThreads),
            $"NumberOfThreads must be positive or null, not {NumberOfThreads}.");
        host.CheckUserArg(
            Enum.IsDefined(TrainDownstreamOn), nameof(TrainDownstreamOn),
            $"TrainDownstreamOn must be {string.Join(" or ", Enum.GetNames<DownstreamStatistics>())}, not " +
            $"{TrainDownstreamOn}.");
    }

    /// <summary>The mask column's name; null where there is none, or where no layer moves and none is needed.</summary>
    public string? NeededMask(IEnumerable<BatchNormalizationOptions> layers) =>
        layers.Any(layer => layer.MovesStatistics(training: true)) ? MaskColumnName : null;

    public DataViewSchema.Column? FindMask(
        IExceptionContext host, DataViewSchema schema, IEnumerable<BatchNormalizationOptions> layers) =>
        NeededMask(layers) is { } name ? MaskColumn.Find(host, schema, name) : null;
}
