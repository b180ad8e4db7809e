namespace Microsoft.ML.BatchNorm;

/// <summary>
/// In training, mirrors each image left to right with a probability: <c>RandomHorizontalFlip</c> in PyTorch,
/// <c>RandomFlip("horizontal")</c> in Keras. In inference, it changes nothing.
/// </summary>
/// <param name="Probability">The share of images that are mirrored, from 0 to 1.</param>
/// <remarks>
/// Which images are mirrored depends on the seed, the step, the layer's index in the network and the row's place in the
/// batch, so that a row is different in each epoch and the same in each repetition, on every engine.
/// </remarks>
public sealed record RandomHorizontalFlipLayer(double Probability = 0.5) : Layer
{
    /// <summary>The share of images that are mirrored, from 0 to 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not from 0 to 1.</exception>
    public double Probability { get; init => field = Checked(value); } = Checked(Probability);

    /// <inheritdoc/>
    public override string Kind => "RandomHorizontalFlip";

    internal override string DefaultName => "random_horizontal_flip";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return input.Rank == 3 ? input : throw Misfit(input, "channels, height and width");
    }

    static double Checked(double value) =>
        value is >= 0 and <= 1 ? value : throw Check.OutOfRange(value, nameof(Probability), "from 0 to 1");

    internal override Stage CreateStage(StageContext context) => new RandomImageStage(context, DrawOf);

    internal override ServingValue CreateServing(ServingContext context) => context.Input;

    internal ImageMove DrawOf(ulong random) => new(RandomImages.Fraction(random) < Probability, 0, 0);
}

/// <summary>
/// In training, pads each image with zeros on all sides and cuts out a random part of the image's own size:
/// <c>RandomCrop(size, padding)</c> in PyTorch. In inference, it changes nothing.
/// </summary>
/// <param name="Padding">
/// The rows and columns of padding on each side; positive, and smaller than the image's height and width. The part may
/// lie anywhere: an image moves by at most this many pixels in each direction.
/// </param>
/// <remarks>
/// Where an image is cut depends on the seed, the step, the layer's index in the network and the row's place in the
/// batch. Put the layer before a normalization of the pixels, so that the padding is black.
/// </remarks>
public sealed record RandomCropLayer(int Padding) : Layer
{
    /// <summary>The rows and columns of padding on each side.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int Padding { get; init => field = Check.Positive(value, nameof(Padding)); } =
        Check.Positive(Padding, nameof(Padding));

    /// <inheritdoc/>
    public override string Kind => "RandomCrop";

    internal override string DefaultName => "random_crop";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return input.Rank == 3 && Padding < Math.Min(input[1], input[2])
            ? input
            : throw Misfit(input, $"channels, height and width, with more than {Padding} rows and columns");
    }

    internal override Stage CreateStage(StageContext context) => new RandomImageStage(context, DrawOf);

    internal override ServingValue CreateServing(ServingContext context) => context.Input;

    internal ImageMove DrawOf(ulong random) => new(false, Offset(random), Offset(RandomNumbers.Mix(~random)));

    int Offset(ulong random) => (int)(RandomImages.Fraction(random) * (2 * Padding + 1)) - Padding;
}

/// <summary>
/// Where the pixels of an image come from: mirrored, or from so many rows below and columns to the right. Pixels from
/// outside of the image are 0.
/// </summary>
readonly record struct ImageMove(bool IsMirrored, int Rows, int Columns)
{
    public ImageMove Inverse => this with { Rows = -Rows, Columns = -Columns };
}

/// <summary>The random numbers of the layers that change images in training, the same on every engine.</summary>
static class RandomImages
{
    const int Bits = 53;

    /// <summary>A random number for a row of a batch.</summary>
    /// <param name="seed">The seed of the run.</param>
    /// <param name="step">The number of steps before this one.</param>
    /// <param name="place">The layer's index in the network.</param>
    /// <param name="row">The row's place in the batch.</param>
    public static ulong Draw(int seed, long step, int place, int row)
    {
        ulong key = (ulong)(uint)seed << 32 | (uint)place;
        key = RandomNumbers.Next(ref key) + (ulong)step;
        key = RandomNumbers.Next(ref key) + (ulong)row;
        return RandomNumbers.Next(ref key);
    }

    /// <summary>The number as a fraction, from 0 to below 1.</summary>
    public static double Fraction(ulong random) => (random >> (64 - Bits)) * Math.Pow(2, -Bits);
}

/// <summary>A layer that moves each image of a batch by a random move, in a training session.</summary>
sealed unsafe class RandomImageStage(StageContext context, Func<ulong, ImageMove> moveOf)
    : Stage(context, new RowBuffer(context.Input.Width))
{
    readonly int height = context.Node.Input[1], width = context.Node.Input[2], place = context.Place;

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Move)];

    public override IEnumerable<Pass> Infer() => [Pass.OnRows(block => Input.CopyTo(Output, block))];

    public override IEnumerable<Pass> Backward() => InputGradient is null ? [] : [Pass.OnRows(GoBack)];

    public override RowBuffer MakeInputGradient() => new(Input.Width);

    void Move(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
            Copy(Input.Row(row), Output.Row(row), MoveOf(row));
    }

    void GoBack(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
            Copy(OutputGradient!.Row(row), InputGradient!.Row(row), MoveOf(row).Inverse);
    }

    ImageMove MoveOf(int row) => moveOf(RandomImages.Draw(
        Step.Seed, Step.Number, place, Step.Share is { } share ? share.Places[row] : row));

    void Copy(float* from, float* to, ImageMove move)
    {
        int first = Math.Max(0, -move.Columns), count = width - Math.Abs(move.Columns);
        for (int line = 0; line < Input.Width / width; line++)
        {
            var target = new Span<float>(to + line * width, width);
            int y = line % height + move.Rows;
            if (y < 0 || y >= height)
            {
                target.Clear();
                continue;
            }
            var source = new ReadOnlySpan<float>(from + (line + move.Rows) * width, width);
            target[..first].Clear();
            source.Slice(first + move.Columns, count).CopyTo(target[first..]);
            target[(first + count)..].Clear();
            if (move.IsMirrored)
                target.Reverse();
        }
    }
}
