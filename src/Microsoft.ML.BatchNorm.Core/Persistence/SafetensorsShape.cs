namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// The shape of a tensor in a file: the rank, and the first four dimensions, 1 where there are fewer.
/// </summary>
readonly record struct SafetensorsShape(int Rank, long First, long Second, long Third, long Fourth)
{
    public static SafetensorsShape Of(params ReadOnlySpan<int> dimensions)
    {
        var shape = new SafetensorsShape(0, 1, 1, 1, 1);
        foreach (int dimension in dimensions)
            shape = shape.With(dimension);
        return shape;
    }

    public static SafetensorsShape Scalar => Of();

    /// <summary>The shape with one more dimension, the fastest.</summary>
    public SafetensorsShape With(long dimension) => Rank switch
    {
        0 => this with { Rank = 1, First = dimension },
        1 => this with { Rank = 2, Second = dimension },
        2 => this with { Rank = 3, Third = dimension },
        3 => this with { Rank = 4, Fourth = dimension },
        _ => this with { Rank = Rank + 1 },
    };

    public long this[int index] => index switch { 0 => First, 1 => Second, 2 => Third, _ => Fourth };

    public override string ToString() => Rank switch
    {
        0 => "[]",
        1 => $"[{First}]",
        2 => $"[{First}, {Second}]",
        3 => $"[{First}, {Second}, {Third}]",
        4 => $"[{First}, {Second}, {Third}, {Fourth}]",
        _ => $"[{First}, {Second}, {Third}, {Fourth}, …] of rank {Rank}",
    };
}
