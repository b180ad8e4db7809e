namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>An input of one shape, its output, and the layer that normalizes it, on one thread.</summary>
sealed class ChannelInput
{
    readonly int[] shape;
    readonly ChannelLayout layout;
    readonly float[] x, y;
    readonly BatchNormalizationOptions options;
    readonly BatchNormalizationState state;
    readonly AffineMap map;
    float[] dy = [], dx = [];

    public ChannelInput(int[] shape)
    {
        this.shape = shape;
        options = BatchNormalizationOptions.Keras;
        layout = new ChannelLayout(shape, axis: 1);
        x = new float[layout.Count];
        y = new float[layout.Count];
        var random = new Random(1);
        for (int i = 0; i < x.Length; i++)
            x[i] = random.NextSingle() * 4 + 3;
        state = BatchNormalization.UpdateMovingStatistics(
            options, BatchNormalization.Initialize(options, layout.Channels), layout, x);
        map = new AffineMap(options, state);
    }

    public BatchNormalizationOptions Options => options;

    public int Channels => layout.Channels;

    public int[] Shape => shape;

    public float[] Values => x;

    /// <summary>Bytes of the input alone.</summary>
    public double Bytes => (double)layout.Count * sizeof(float);

    public void Copy() => x.AsSpan().CopyTo(y);

    public void Infer() => map.Apply(layout, x, y);

    public void Statistics() => BatchNormalization.UpdateMovingStatistics(options, state, layout, x);

    /// <summary>
    /// Training mode over the whole input, batch after batch, each with its output and next state. A batch's output
    /// goes into one buffer for all batches, as in training, or is kept behind that of the one before.
    /// </summary>
    public void Train(int batchRows, bool keepOutput)
    {
        int rowLength = x.Length / shape[0];
        BatchNormalizationState current = state;
        for (int row = 0; row < shape[0]; row += batchRows)
        {
            int rows = Math.Min(batchRows, shape[0] - row);
            var batch = new ChannelLayout([rows, .. shape.AsSpan(1)], axis: 1);
            int start = row * rowLength, length = rows * rowLength;
            current = BatchNormalization.Forward(
                options, current, batch, x.AsSpan(start, length),
                y.AsSpan(keepOutput ? start : 0, length), training: true).NextState;
        }
    }

    /// <summary>Training mode over the whole input as one batch, and the gradients.</summary>
    public void TrainAndBack()
    {
        if (dy.Length == 0)
            (dy, dx) = (Array.ConvertAll(x, value => value - 5), new float[x.Length]);
        ForwardPass pass = BatchNormalization.Forward(options, state, layout, x, y, training: true);
        BatchNormalization.Backward(pass, x, dy, dx, new float[Channels], new float[Channels]);
    }
}
