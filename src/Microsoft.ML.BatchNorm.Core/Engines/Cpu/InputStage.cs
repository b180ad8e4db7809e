using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Copies rows of features into the first buffer: rows of the session's data, or rows that a call passes in.
/// </summary>
sealed unsafe class InputStage
{
    readonly Step step;
    readonly bool ignoresNonFinite;
    readonly BatchRows rows;
    float* source;
    int foundNonFinite;

    /// <param name="rows">The session's rows.</param>
    /// <param name="output">The first buffer.</param>
    /// <param name="ignoresNonFinite">
    /// Whether the layers that read the features accept values that are not finite.
    /// </param>
    /// <param name="step">The current batch.</param>
    public InputStage(BatchRows rows, RowBuffer output, bool ignoresNonFinite, Step step)
    {
        Output = output;
        (this.rows, this.step, this.ignoresNonFinite) = (rows, step, ignoresNonFinite);
    }

    public RowBuffer Output { get; }

    public Pass FromData => Pass.OnRows(Gather);

    public Pass FromCall => Pass.OnRows(Copy);

    public void Grow(int count) => Output.Grow(count);

    /// <summary>Takes rows of the data, by their numbers.</summary>
    public void SetRows(ReadOnlySpan<int> numbers)
    {
        rows.Bring(numbers);
        foundNonFinite = 0;
    }

    /// <summary>Takes the rows of a call. The memory must not move until the passes have run.</summary>
    public void SetSource(float* first)
    {
        source = first;
        foundNonFinite = 0;
    }

    /// <summary>
    /// Throws an error that names row and slot if the rows that were copied last have a value that is not finite.
    /// </summary>
    /// <param name="firstRow">
    /// The number in the call of the first row that was copied; null for rows of the data.
    /// </param>
    public void ThrowIfNonFinite(long? firstRow)
    {
        if (Volatile.Read(ref foundNonFinite) == 0 || ignoresNonFinite)
            return;
        for (int row = 0; row < step.Rows; row++)
        {
            int slot = Finite.IndexOf<float>(new(Output.Row(row), Output.Width));
            if (slot >= 0)
            {
                throw new InvalidDataException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"A feature is not finite: row {firstRow + row ?? rows.Number(row)}, slot {slot} "
                    + $"has {Output.Row(row)[slot]}. Replace it, or begin the network with a batch normalization of "
                    + $"NonFinite.Ignore."));
            }
        }
    }

    void Gather(RowBlock block)
    {
        float* features = rows.Features;
        ReadOnlySpan<int> places = rows.Places;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            // A batch's rows may be anywhere in memory: the processor cannot predict where the next one is.
            int next = places[Math.Min(row + 1, block.First + block.Rows - 1)];
            Take(features + (nint)places[row] * Output.Width, Output.Row(row), features + (nint)next * Output.Width);
        }
    }

    void Copy(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
            Take(source + (nint)row * Output.Width, Output.Row(row), source + (nint)(row + 1) * Output.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    void Take(float* from, float* to, float* next)
    {
        Vector512<float> poison = default;
        int i = 0;
        for (; i <= Output.Width - Simd.Floats; i += Simd.Floats)
        {
            Vector512<float> value = Vector512.Load(from + i);
            value.Store(to + i);
            Simd.Prefetch(next + i);
            poison = Simd.Poison(value, poison);
        }
        if (i < Output.Width)
        {
            Vector512<float> value = Simd.LoadPart(from + i, Output.Width - i);
            value.Store(to + i);
            Simd.Prefetch(next + i);
            poison = Simd.Poison(value, poison);
        }
        if (!Vector512.EqualsAll(poison, Vector512<float>.Zero))
            Volatile.Write(ref foundNonFinite, 1);
    }
}
