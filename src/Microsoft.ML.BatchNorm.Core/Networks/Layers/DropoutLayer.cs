using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// In training, sets each value to 0 with probability <paramref name="Rate"/> and divides the others by 1 − rate. In
/// inference, it changes nothing (Srivastava and others, 2014).
/// </summary>
/// <param name="Rate">The share of values that are set to 0, at least 0 and below 1.</param>
public sealed record DropoutLayer(double Rate) : Layer
{
    /// <summary>The share of values that are set to 0, at least 0 and below 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not from 0 to below 1.</exception>
    public double Rate { get; init => field = Checked(value); } = Checked(Rate);

    /// <inheritdoc/>
    public override string Kind => "Dropout";

    internal override string DefaultName => "dropout";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input) => Check.NotNull(input);

    static double Checked(double value) =>
        value is >= 0 and < 1 ? value : throw Check.OutOfRange(value, nameof(Rate), "at least 0 and below 1");

    internal override Stage CreateStage(StageContext context) => new DropoutStage(context, Rate);

    internal override ServingValue CreateServing(ServingContext context) => context.Input;
}

/// <summary>
/// A <see cref="DropoutLayer"/> in a training session. Which values are dropped depends only on the seed, the number of
/// the step, the index of the layer in the network and the position of the value in the batch, so that the bits do not
/// depend on the threads.
/// </summary>
sealed unsafe class DropoutStage(StageContext context, double rate)
    : Stage(context, new RowBuffer(context.Input.Width))
{
    /// <summary>The number of values that one draw of eight counters decides on.</summary>
    const int DrawColumns = 32;

    /// <summary>The factor of each value: 0, or 1/(1 − rate).</summary>
    readonly RowBuffer factors = new(context.Input.Width);

    readonly int place = context.Place;

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Draw), Pass.OnRows(Apply)];

    public override IEnumerable<Pass> Infer() => [Pass.OnRows(Copy)];

    public override IEnumerable<Pass> Backward() => [Pass.OnRows(GoBack)];

    public override void Grow(int rows)
    {
        base.Grow(rows);
        factors.Grow(rows);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Draw(RowBlock block)
    {
        Vector512<uint> threshold = Vector512.Create((uint)Math.Min(rate * Math.Pow(2, 32), uint.MaxValue));
        Vector512<float> kept = Vector512.Create((float)(1 / (1 - rate)));
        int draws = (Input.Columns + DrawColumns - 1) / DrawColumns;
        Vector512<ulong> low = Vector512.Create((ulong)uint.MaxValue);
        ReadOnlySpan<int> places = Step.Share is { } share ? share.Places : default;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* target = factors.Row(row);
            int batchRow = places.IsEmpty ? row : places[row];
            for (int draw = 0; draw < draws; draw++)
            {
                ulong first = ((ulong)batchRow * (ulong)draws + (ulong)draw) * 8;
                Vector512<ulong> counters = Vector512.Create(first) + Vector512<ulong>.Indices;
                Vector512<ulong> w0 = counters & low, w1 = counters >>> 32;
                Vector512<ulong> w2 = Vector512.Create((ulong)(uint)Step.Number);
                Vector512<ulong> w3 = Vector512.Create((ulong)(Step.Number >>> 32));
                RandomNumbers.Philox(unchecked((uint)Step.Seed), (uint)place, ref w0, ref w1, ref w2, ref w3);
                int column = draw * DrawColumns;
                Select(Vector512.Narrow(w0, w1), threshold, kept).Store(target + column);
                if (column + Simd.Floats < Input.Columns)
                    Select(Vector512.Narrow(w2, w3), threshold, kept).Store(target + column + Simd.Floats);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Select(Vector512<uint> random, Vector512<uint> threshold, Vector512<float> kept) =>
        Vector512.ConditionalSelect(
            Vector512.GreaterThanOrEqual(random, threshold).AsSingle(), kept, Vector512<float>.Zero);

    void Apply(RowBlock block) => Multiply(block, Input, Output);

    void GoBack(RowBlock block) => Multiply(block, OutputGradient!, OutputGradient!);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Multiply(RowBlock block, RowBuffer from, RowBuffer to)
    {
        int columns = from.Columns;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* x = from.Row(row), factor = factors.Row(row), y = to.Row(row);
            for (int i = 0; i < columns; i += Simd.Floats)
                (Vector512.Load(x + i) * Vector512.Load(factor + i)).Store(y + i);
        }
    }

    void Copy(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            var x = new ReadOnlySpan<float>(Input.Row(row), Input.Columns);
            x.CopyTo(new Span<float>(Output.Row(row), Input.Columns));
        }
    }
}
