using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Takes the steps of an <see cref="Optimizer"/> on the memory of all parameters. The memory is cut into chunks by its
/// length alone, so that the bits do not depend on the threads.
/// </summary>
sealed unsafe class ParameterUpdate
{
    const int ChunkFloats = 1 << 12;

    /// <summary>
    /// The least ε of Adam. If ε and v are 0, Adam divides by it, and a parameter that never had a gradient does not
    /// change.
    /// </summary>
    const float LeastEpsilon = 1e-38f;

    readonly Optimizer optimizer;
    readonly double? clipNorm;
    readonly ParameterMemory memory;
    readonly WorkerThreads workers;
    readonly string[] names;
    readonly AlignedMemory<float>[] moments;
    readonly double[] squares;
    readonly Action<int> change, square;
    readonly int chunks, decayedLength;
    AdamNumbers adam;
    float rate, clip;

    public ParameterUpdate(Optimizer optimizer, double? clipNorm, ParameterMemory memory, WorkerThreads workers)
    {
        (this.optimizer, this.clipNorm, this.memory, this.workers) = (optimizer, clipNorm, memory, workers);
        names = optimizer switch
        {
            SgdOptimizer { Momentum: 0 } => [],
            SgdOptimizer => ["velocity"],
            AdamOptimizer => ["m", "v"],
            _ => throw new NotSupportedException($"The CPU engine has no optimizer {optimizer.GetType().Name}."),
        };
        moments = [.. names.Select(_ => new AlignedMemory<float>(memory.TrainedLength))];
        chunks = (memory.TrainedLength + ChunkFloats - 1) / ChunkFloats;
        decayedLength =
            optimizer.DecayedParameters == DecayedParameters.All ? memory.TrainedLength : memory.KernelLength;
        squares = new double[chunks];
        (change, square) = (Change, Square);
    }

    /// <summary>The number of steps taken.</summary>
    public long Steps { get; private set; }

    /// <summary>Changes the parameters by their gradients, which must be finite.</summary>
    public void Run(double learningRate)
    {
        clip = clipNorm is { } most ? Clip(most) : 1;
        rate = (float)learningRate;
        if (optimizer is AdamOptimizer settings)
            adam = Numbers(settings, learningRate);
        workers.Run(chunks, change);
        Steps++;
    }

    public OptimizerState Save()
    {
        var builder = OptimizerState.Empty.Moments.ToBuilder();
        foreach (Parameter parameter in memory.Trained)
        {
            for (int i = 0; i < names.Length; i++)
            {
                float[] values = new float[parameter.Size];
                parameter.Read(moments[i].Start + parameter.Offset, values);
                builder.Add($"{parameter.Path}/{names[i]}", ImmutableArray.Create(values));
            }
        }
        return new OptimizerState(Steps, builder.ToImmutable());
    }

    public void Load(OptimizerState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentOutOfRangeException.ThrowIfNegative(state.Steps, nameof(state));
        int expected = memory.Trained.Count() * names.Length;
        if (state.Steps > 0 || state.Moments.Count > 0)
        {
            foreach (Parameter parameter in memory.Trained)
            {
                foreach (string name in names)
                    Check(state, $"{parameter.Path}/{name}", parameter.Size);
            }
            if (state.Moments.Count != expected)
                throw new ArgumentException(
                    $"The optimizer's state has {state.Moments.Count} moments instead of {expected}; it belongs to "
                    + "other parameters or another optimizer.", nameof(state));
        }
        for (int i = 0; i < names.Length; i++)
        {
            moments[i].Span.Clear();
            foreach (Parameter parameter in memory.Trained)
            {
                if (state.Moments.TryGetValue($"{parameter.Path}/{names[i]}", out ImmutableArray<float> values))
                    parameter.Write(values.AsSpan(), moments[i].Start + parameter.Offset);
            }
        }
        Steps = state.Steps;
    }

    static void Check(OptimizerState state, string name, int size)
    {
        if (!state.Moments.TryGetValue(name, out ImmutableArray<float> values))
            throw new ArgumentException(
                $"The optimizer's state has no '{name}'; it belongs to other parameters or another optimizer.",
                nameof(state));
        if (values.Length != size)
            throw new ArgumentException(
                $"'{name}' of the optimizer's state has {values.Length} values instead of {size}.", nameof(state));
    }

    float Clip(double most)
    {
        workers.Run(chunks, square);
        double sum = 0;
        for (int i = 0; i < chunks; i++)
            sum += squares[i];
        double norm = Math.Sqrt(sum);
        return norm > most ? (float)(most / norm) : 1;
    }

    AdamNumbers Numbers(AdamOptimizer settings, double learningRate)
    {
        double correction1 = 1 - Math.Pow(settings.Beta1, Steps + 1);
        double correction2 = 1 - Math.Pow(settings.Beta2, Steps + 1);
        bool isDecoupled = optimizer is AdamWOptimizer;
        return new AdamNumbers(
            (float)settings.Beta1, (float)(1 - settings.Beta1), (float)settings.Beta2, (float)(1 - settings.Beta2),
            (float)(learningRate / correction1), (float)(1 / Math.Sqrt(correction2)),
            Math.Max((float)settings.Epsilon, LeastEpsilon),
            isDecoupled ? (float)(1 - learningRate * settings.WeightDecay) : 1,
            isDecoupled ? 0 : (float)settings.WeightDecay, clip);
    }

    void Square(int chunk)
    {
        int from = chunk * ChunkFloats;
        squares[chunk] = OptimizerKernels.SquaredNorm(
            memory.Gradients + from, Math.Min(ChunkFloats, memory.TrainedLength - from));
    }

    void Change(int chunk)
    {
        int from = chunk * ChunkFloats, end = Math.Min(from + ChunkFloats, memory.TrainedLength);
        int undecayed = Math.Clamp(decayedLength, from, end);
        if (undecayed > from)
            Change(from, undecayed - from, (float)optimizer.WeightDecay, adam);
        if (undecayed < end)
            Change(undecayed, end - undecayed, decay: 0, adam with { Keep = 1, Decay = 0 });
    }

    void Change(int from, int length, float decay, in AdamNumbers numbers)
    {
        float* p = memory.Values + from, g = memory.Gradients + from;
        switch (optimizer)
        {
            case SgdOptimizer { Momentum: 0 }:
                OptimizerKernels.Sgd(p, g, length, clip, rate, decay);
                break;
            case SgdOptimizer sgd:
                OptimizerKernels.Momentum(
                    p, g, moments[0].Start + from, length, clip, rate, decay, (float)sgd.Momentum, sgd.Nesterov);
                break;
            default:
                OptimizerKernels.Adam(p, g, moments[0].Start + from, moments[1].Start + from, length, numbers);
                break;
        }
    }
}
