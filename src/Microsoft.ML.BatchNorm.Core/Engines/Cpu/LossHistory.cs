namespace Microsoft.ML.BatchNorm;

/// <summary>The losses that nobody has read yet, the oldest first.</summary>
sealed class LossHistory
{
    double[] values = new double[1024];
    int first, count;

    public void Add(double loss)
    {
        if (count == values.Length)
        {
            var more = new double[2 * count];
            CopyTo(more);
            (values, first) = (more, 0);
        }
        values[(first + count++) % values.Length] = loss;
    }

    public int Read(Span<double> target)
    {
        int read = Math.Min(target.Length, count);
        CopyTo(target[..read]);
        first = (first + read) % values.Length;
        count -= read;
        return read;
    }

    void CopyTo(Span<double> target)
    {
        for (int i = 0; i < Math.Min(target.Length, count); i++)
            target[i] = values[(first + i) % values.Length];
    }
}
