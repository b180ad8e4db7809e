using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>Computes the exact statistics per channel of a tensor, on its device and in double.</summary>
static class DeviceStatistics
{
    /// <summary>
    /// How many elements are converted to double at a time. This bounds the memory. On the CPU, the values also stay in
    /// the cache.
    /// </summary>
    const long ChunkElements = 1 << 24, CpuChunkElements = 1 << 17;

    /// <param name="x">Outer × channels × inner values.</param>
    /// <param name="ignoreNonFinite">
    /// Whether values that are not finite are left out. If not, they make the mean non-finite, too.
    /// </param>
    /// <param name="mask">One boolean per value, false to leave the value out; null to leave none out.</param>
    public static BatchStatistics Of(Tensor x, bool ignoreNonFinite = false, Tensor? mask = null)
    {
        long outer = x.shape[0], channels = x.shape[1], inner = x.shape[2];
        var total = new BatchStatistics((int)channels);
        long elements = x.device_type == DeviceType.CPU ? CpuChunkElements : ChunkElements;
        long outerRows = Math.Clamp(elements / (channels * inner), 1, outer);
        long innerValues = Math.Clamp(elements / channels, 1, inner);
        for (long row = 0; row < outer; row += outerRows)
        {
            using var scope = torch.NewDisposeScope();
            for (long value = 0; value < inner; value += innerValues)
            {
                Tensor? kept = mask is null ? null : Chunk(mask, row, value);
                total.Merge(OfChunk(Chunk(x, row, value), ignoreNonFinite, kept));
            }
        }
        return total;

        Tensor Chunk(Tensor all, long row, long value) =>
            all.narrow(0, row, Math.Min(outerRows, outer - row)).narrow(2, value, Math.Min(innerValues, inner - value));
    }

    /// <summary>Copies statistics from the device, in one transfer.</summary>
    /// <param name="count">The number of values per channel.</param>
    /// <param name="center">A value near the mean.</param>
    /// <param name="shift">The mean of the deviations from the center.</param>
    /// <param name="m2">The sum of the squared differences between the deviations and their mean.</param>
    public static BatchStatistics Download(Tensor count, Tensor center, Tensor shift, Tensor m2)
    {
        using var scope = torch.NewDisposeScope();
        Tensor[] parts = [count, center, m2, shift, torch.zeros_like(m2)];
        double[] moments = Tensors.Download<double>(torch.cat(Array.ConvertAll(parts, part => part.reshape(-1))));
        int channels = moments.Length / Moments.Arrays;
        for (int c = 0; c < channels; c++)
        {
            double rest = 0;
            MomentsMerge.Add(ref moments[channels + c], ref rest, moments[3 * channels + c]);
            moments[3 * channels + c] = rest;
        }
        return new BatchStatistics(moments);
    }

    /// <summary>The statistics of values, given their deviations from a center.</summary>
    /// <param name="count">The number of values per channel.</param>
    /// <param name="center">A value near the mean.</param>
    /// <param name="deviations">Outer × channels × inner deviations; 0 for a value that is left out.</param>
    /// <param name="squares">The sum of the squared deviations per channel; null to compute it here.</param>
    public static BatchStatistics OfDeviations(
        Tensor count, Tensor center, Tensor deviations, Tensor? squares = null)
    {
        Tensor sum = deviations.sum([0, 2], true), shift = sum.div(count.clamp_min(Scalars.One));
        squares ??= deviations.mul(deviations).sum([0, 2], true);
        return Download(count, center, shift, squares.sub(sum.mul(shift)).clamp_min(Scalars.Of(0)));
    }

    /// <summary>Whether all means and sums of squares are finite.</summary>
    public static bool AreFinite(BatchStatistics statistics) =>
        Finite.All(statistics.Mean) && Finite.All(statistics.M2);

    static BatchStatistics OfChunk(Tensor x, bool ignoreNonFinite, Tensor? mask)
    {
        Tensor values = x.to(ScalarType.Float64);
        Tensor? finite = ignoreNonFinite ? values.isfinite() : null,
            kept = finite is null ? mask : mask is null ? finite : mask.logical_and(finite);
        return kept is null ? OfAll(values) : OfKept(values, kept);
    }

    static BatchStatistics OfAll(Tensor x)
    {
        double count = x.shape[0] * (double)x.shape[2];
        // Deviations are taken from the first value, since differences between close values are exact.
        Tensor first = x.narrow(0, 0, 1).narrow(2, 0, 1);
        (Tensor variance, Tensor mean) = torch.var_mean(x.sub(first), [0, 2], false);
        return Download(torch.full_like(mean, Scalars.Of(count)), first, mean, variance.mul(Scalars.Of(count)));
    }

    static BatchStatistics OfKept(Tensor x, Tensor kept)
    {
        Tensor zero = torch.zeros_like(x), count = kept.to(ScalarType.Float64).sum([0, 2], true);
        // Differences from the least value are averaged, so that the mean of equal values is exact and no sum
        // overflows.
        Tensor least = torch.where(kept, x, torch.full_like(x, Scalars.Of(double.PositiveInfinity))).amin([0, 2], true);
        least = torch.where(count.gt(Scalars.Of(0)), least, torch.zeros_like(least));
        Tensor mean = least.add(
            torch.where(kept, x.sub(least), zero).sum([0, 2], true).div(count.clamp_min(Scalars.One)), Scalars.One);
        return OfDeviations(count, mean, torch.where(kept, x.sub(mean), zero));
    }
}

/// <summary>Reshapes tensors by their channel layout.</summary>
static class LayoutReshaping
{
    /// <summary>The tensor as outer × channels × inner.</summary>
    public static Tensor Reshape(this Tensor x, ChannelLayout layout) =>
        x.reshape(layout.Outer, layout.Channels, layout.Inner);

    /// <summary>
    /// The rows of one group as outer × channels × inner: every <paramref name="groups"/>-th row, from row
    /// <paramref name="group"/> on.
    /// </summary>
    /// <param name="x">All rows, as outer × channels × inner.</param>
    /// <param name="layout">The layout of all rows.</param>
    /// <param name="group">The number of the group.</param>
    /// <param name="groups">The number of groups.</param>
    public static Tensor TakeGroup(this Tensor x, ChannelLayout layout, int group, int groups) => groups == 1
        ? x
        : x.reshape(layout.Rows, -1).slice(0, group, layout.Rows, groups)
            .Reshape(new RowGroups(layout, groups).Layout(group));
}
