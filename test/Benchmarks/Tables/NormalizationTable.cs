namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Batch normalization itself, on one thread, beside libtorch's, and beside what a copy moves.</summary>
static class NormalizationTable
{
    static readonly (int[] Shape, int[] Batches)[] Inputs =
    [
        ([4096, 1024], [256]), ([1_000_000, 64], [256, 4096]), ([100_000, 512], [256, 4096]),
        ([2_000_000, 16], [256, 4096]), ([64, 64, 56, 56], []),
    ];

    public static Table Make() => new(
        "normalization",
        "Batch normalization on one thread. Bytes of the input once for statistics, twice for outputs, five times\n"
        + "with gradients; a copy is Span.CopyTo. A batch's output goes over the one before, or all are kept.",
        Unit.GigabytesPerSecond, ["libtorch", "a copy"], Comparisons());

    static IEnumerable<Comparison> Comparisons()
    {
        foreach ((int[] shape, int[] batches) in Inputs)
        {
            string name = string.Join('x', shape.Select(size => $"{size:N0}"));
            var input = new Lazy<ChannelInput>(() => new ChannelInput(shape));
            yield return Line($"{name} inference mode", 2, ours => ours.Infer, peer => peer.Infer);
            yield return Line($"{name} statistics", 1, ours => ours.Statistics, peer => peer.Statistics);
            foreach (int rows in batches.Append(shape[0]))
            {
                string by = rows == shape[0] ? "in one batch" : $"by {rows}";
                yield return Line(
                    $"{name} forward {by}", 2, ours => () => ours.Train(rows, false), peer => () => peer.Train(rows));
                if (rows < shape[0])
                {
                    yield return Line(
                        $"{name} forward {by}, outputs kept", 2, ours => () => ours.Train(rows, true), null);
                }
            }
            yield return Line(
                $"{name} forward and backward in one batch", 5, ours => ours.TrainAndBack,
                peer => peer.TrainAndBack);

            Comparison Line(
                string name, int passes, Func<ChannelInput, Action> ours, Func<TorchInput, Action>? theirs) =>
                new(name, () => Contest(input.Value, passes, ours, theirs));
        }
    }

    static Contest Contest(
        ChannelInput input, int passes, Func<ChannelInput, Action> ours, Func<TorchInput, Action>? theirs)
    {
        TorchInput? peer = theirs is null ? null : Libtorch.OnThreads(1, () => new TorchInput(input));
        return new Contest(passes * input.Bytes, ours(input))
            .Against(peer is null ? null : theirs!(peer)).Against(input.Copy, 2 * input.Bytes).Owning(peer);
    }
}
