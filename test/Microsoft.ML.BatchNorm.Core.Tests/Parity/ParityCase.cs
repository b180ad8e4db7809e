using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm.Tests.Parity;

/// <summary>A file of reference cases; a member that is not known fails the read.</summary>
sealed record ParityFile(
    int Format, string Kind, string Oracle, Dictionary<string, double> Tolerance, JsonElement[] Cases)
{
    static readonly JsonSerializerOptions Strict = new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        PropertyNameCaseInsensitive = false,
    };

    public static ParityFile Read(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return JsonSerializer.Deserialize<ParityFile>(stream, Strict)!;
    }

    public LayerCase Layer(int index) => Cases[index].Deserialize<LayerCase>(Strict)!;

    public NetworkCase Network(int index) => Cases[index].Deserialize<NetworkCase>(Strict)!;
}

sealed record LayerCase(string Name, int[] Shape, CaseOptions Options, CaseState Initial, CaseStep[] Steps);

sealed record CaseOptions(
    int Axis, double? Decay, bool Cumulative, double Epsilon, bool Center, bool Scale, string MovingVariance,
    bool TrackMovingStatistics, bool Trainable, CaseRenorm? Renorm)
{
    public BatchNormalizationOptions ToOptions() => new()
    {
        Axis = Axis,
        Momentum = Decay ?? 0,
        MovingStatistics = Cumulative ? MovingStatistics.Cumulative : MovingStatistics.Exponential,
        Epsilon = Epsilon,
        Center = Center,
        Scale = Scale,
        VarianceConvention = MovingVariance switch
        {
            "population" => VarianceConvention.Population,
            "sample" => VarianceConvention.Sample,
            _ => throw new InvalidDataException($"movingVariance '{MovingVariance}' is not known."),
        },
        TrackMovingStatistics = TrackMovingStatistics,
        Trainable = Trainable,
        Renorm = Renorm is null
            ? null
            : new() { RMin = Renorm.RMin, RMax = Renorm.RMax, DMax = Renorm.DMax, Momentum = Renorm.Decay },
    };
}

sealed record CaseRenorm(double? RMax, double? RMin, double? DMax, double Decay);

sealed record CaseState(
    float[]? Gamma, float[]? Beta, double[]? MovingMean, double[]? MovingVariance, double[]? MovingStandardDeviation,
    double[]? RenormMean, double[]? RenormStandardDeviation)
{
    public BatchNormalizationState ToState(int channels) => new(
        MovingMean ?? new double[channels], MovingVariance ?? new double[channels], Gamma, Beta,
        renorm: MovingStandardDeviation is null
            ? null
            : new(MovingStandardDeviation, RenormMean, RenormStandardDeviation));
}

sealed record CaseStep(
    bool Training, float[] X, double[]? Mask, double[] Y, CaseAfter After,
    float[]? Dy, double[]? Dx, [property: JsonPropertyName("dgamma")] double[]? DGamma,
    [property: JsonPropertyName("dbeta")] double[]? DBeta);

sealed record CaseAfter(
    double[]? MovingMean, double[]? MovingVariance, double[]? MovingStandardDeviation, double[]? RenormMean,
    double[]? RenormStandardDeviation);
