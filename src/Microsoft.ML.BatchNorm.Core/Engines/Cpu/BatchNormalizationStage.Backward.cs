using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

sealed unsafe partial class BatchNormalizationStage
{
    public override IEnumerable<Pass> Backward()
    {
        bool passesOn = InputGradient is not null;
        if (!Learns && !usesBatch)
            return [Pass.OnRows(ScaleGradient)];
        if (usesBatch && passesOn)
            return [Pass.OnRows(SumGradients, MergeGradients), Pass.OnRows(FormGradient)];
        return passesOn
            ? [Pass.OnRows(SumGradients), Pass.OnRows(FormGradient), Pass.OnItems(1, _ => MergeGradients())]
            : [Pass.OnRows(SumGradients), Pass.OnItems(1, _ => MergeGradients())];
    }

    void SumGradients(RowBlock block)
    {
        for (int group = 0; group < groups; group++)
        {
            (int first, int rows) = Slice(block, group);
            double* result = BlockSums(block.Index, group);
            if (rows == 0)
            {
                new Span<double>(result, 2 * room).Clear();
                continue;
            }
            kernels.SumGradients(
                Rows(Input, first), Rows(Output, first), Rows(OutputGradient!, first), rows, Map(group, 0), result,
                result + room);
        }
    }

    void ScaleGradient(RowBlock block) =>
        kernels.ScaleGradient(
            Rows(Input, block.First), Rows(Output, block.First), Rows(OutputGradient!, block.First), block.Rows,
            Map(0, 1));

    /// <summary>
    /// Runs after <see cref="SumGradients"/>, which has applied the activation's derivative. For a fixed map, slope and
    /// rest are 0.
    /// </summary>
    void FormGradient(RowBlock block)
    {
        for (int group = 0; group < groups; group++)
        {
            (int first, int rows) = Slice(block, group);
            if (rows > 0)
            {
                kernels.FormGradient(
                    Rows(Input, first), Rows(OutputGradient!, first), rows, Map(group, 0), Map(group, 1),
                    Map(group, 3), Map(group, 4));
            }
        }
    }

    void MergeGradients()
    {
        affineSums.Span.Clear();
        for (int group = 0; group < groups; group++)
        {
            sums.Span.Clear();
            for (int block = 0; block < step.Blocks; block++)
                Add(BlockSums(block, group), sums.Start, 2 * room);
            FormGradientMap(group);
        }
        if (!Finite.All<double>(affineSums.Span[..channels])
            || !Finite.All<double>(affineSums.Span.Slice(room, channels)))
            step.Fail();
        if (gamma is { IsTrained: true })
            Narrow(affineSums.Start, gamma.Gradient);
        if (beta is { IsTrained: true })
            Narrow(affineSums.Start + room, beta.Gradient);
    }

    /// <summary>
    /// Forms the map of a group's gradient from its sums, by the formula of <see cref="InputGradient"/>, and adds to
    /// the gradients of γ and β.
    /// </summary>
    void FormGradientMap(int group)
    {
        Moments merged = MomentsOf(group);
        nint at = (nint)group * room;
        float* center = Map(group, 0), slope = Map(group, 3), rest = Map(group, 4);
        for (int c = 0; c < room; c += 8)
        {
            Vector512<double> mean = usesBatch ? Vector512.Load(merged.Mean + c) : running.MeanAt(c);
            Vector512<double> off = mean - Vectors.Widen(Vector256.Load(center + c));
            Vector512<double> inverses = Vector512.Load(inverse.Start + at + c);
            Vector512<double> gradient = Vector512.Load(sums.Start + c);
            Vector512<double> product = Vector512.Load(sums.Start + room + c) - off * gradient;
            Vector512<double> factors = Vector512.Load(factor.Start + at + c) * inverses;
            Vector512<double> offsets = Vector512.Load(offset.Start + at + c);
            Accumulate(factors * product + offsets * gradient, affineSums.Start + c);
            Accumulate(gradient, affineSums.Start + room + c);
            if (!usesBatch)
                continue;
            Vector512<double> count = Vector512.Load(merged.Count + c);
            Vector512<double> share = Vector512.ConditionalSelect(
                Vector512.Equals(count, Vector512<double>.Zero), Vector512<double>.Zero, Vector512<double>.One / count);
            Vector512<double> slopes = inverses * (inverses * (product * share));
            Vectors.Narrow(slopes).Store(slope + c);
            Vectors.Narrow(gradient * share - off * slopes).Store(rest + c);
        }
    }

    static void Add(double* values, double* to, int length)
    {
        for (int i = 0; i < length; i += 8)
            Accumulate(Vector512.Load(values + i), to + i);
    }

    static void Accumulate(Vector512<double> values, double* to) => (Vector512.Load(to) + values).Store(to);

    void Narrow(double* values, float* to)
    {
        for (int c = 0; c < room; c += 8)
            Vectors.Narrow(Vector512.Load(values + c)).Store(to + c);
        new Span<float>(to + channels, room - channels).Clear();
    }
}
