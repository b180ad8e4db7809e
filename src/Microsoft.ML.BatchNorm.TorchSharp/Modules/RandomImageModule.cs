namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// A layer that moves each image of a batch by a random move in training, the same one as on the CPU engine.
/// </summary>
/// <param name="node">The layer in its network.</param>
/// <param name="layerIndex">Its index there.</param>
/// <param name="moveOf">The move for a random number.</param>
/// <param name="share">This rank's rows of a batch; null if there is one rank.</param>
sealed class RandomImageModule(
    NetworkNode node, int layerIndex, Func<ulong, ImageMove> moveOf, BatchShare? share = null) : LayerModule(node)
{
    readonly int channels = node.Input[0], height = node.Input[1], width = node.Input[2];
    int seed;
    long step;

    public override void BeginStep(int seed, long step) => (this.seed, this.step) = (seed, step);

    public override Tensor forward(Tensor x)
    {
        if (!IsTraining)
            return x.alias();
        int rows = (int)x.shape[0];
        long[]? places = share?.PlacesOf(rows);
        long[] lines = new long[rows * height], columns = new long[rows * width];
        for (int row = 0; row < rows; row++)
        {
            ImageMove move = moveOf(RandomImages.Draw(seed, step, layerIndex, (int)(places?[row] ?? row)));
            for (int y = 0; y < height; y++)
                lines[row * height + y] = Place(y + move.Rows, height);
            for (int column = 0; column < width; column++)
            {
                int seen = move.IsMirrored ? width - 1 - column : column;
                columns[row * width + column] = Place(seen + move.Columns, width);
            }
        }
        // One line and one column of zeros more, which stand for all places outside of the image.
        return F.pad(x, [0, 1, 0, 1])
            .gather(2, Tensors.Upload<long>(lines, x.device, rows, 1, height, 1).expand(rows, channels, -1, width + 1))
            .gather(3, Tensors.Upload<long>(columns, x.device, rows, 1, 1, width).expand(rows, channels, height, -1));

        static long Place(int place, int count) => place >= 0 && place < count ? place : count;
    }
}
