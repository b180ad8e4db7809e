namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>Ten steps without any gradient, in which weight decay alone changes parameters.</summary>
static class WeightDecay
{
    const int Steps = 10, Rows = 8;

    /// <summary>Every optimizer with a decay of 0.1 and the learning rate that it is run with.</summary>
    public static IEnumerable<object[]> Optimizers =>
        from optimizer in (Optimizer[])
            [
                new SgdOptimizer { LearningRate = 0.1 }, new SgdOptimizer { LearningRate = 0.1, Momentum = 0.9 },
                new SgdOptimizer { LearningRate = 0.1, Momentum = 0.9, Nesterov = true },
                new AdamOptimizer { LearningRate = 0.01 }, new AdamWOptimizer { LearningRate = 0.1 },
            ]
        from decayed in Enum.GetValues<DecayedParameters>()
        select new object[] { optimizer with { WeightDecay = 0.1, DecayedParameters = decayed } };

    /// <summary>Each parameter is what its optimizer makes of it: those that do not decay keep every bit.</summary>
    public static void AssertDecays(ITrainingEngine engine, Optimizer optimizer)
    {
        foreach (Network network in Networks)
        {
            NetworkState before = Start(network), after;
            var options = new TrainingOptions { Loss = Loss.MeanSquaredError, Optimizer = optimizer };
            var data = new TrainingData(Rows, Sample.Floats(Rows * network.InputShape.Size, 1), new float[Rows]);
            using (ITrainingSession session = engine.Start(network, before, options, data))
            {
                for (int step = 0; step < Steps; step++)
                    session.TrainOnBatch([.. Enumerable.Range(0, Rows)], optimizer.LearningRate);
                after = session.GetState();
            }
            foreach (string path in before.Paths)
            {
                LayerState old = before[path], now = after[path];
                bool all = optimizer.DecayedParameters == DecayedParameters.All;
                Check(old.Kernel, now.Kernel, decays: true, $"{path}/kernel");
                Check(old.Bias, now.Bias, all, $"{path}/bias");
                if (old.BatchNormalization is not { } norm)
                    continue;
                Check(norm.Gamma, now.BatchNormalization!.Gamma, all, $"{path}/gamma");
                Check(norm.Beta, now.BatchNormalization.Beta, all, $"{path}/beta");
            }
        }

        void Check(ReadOnlySpan<float> old, ReadOnlySpan<float> now, bool decays, string what)
        {
            if (!decays)
            {
                Agreement.SameBits(old, now, what);
                return;
            }
            for (int i = 0; i < old.Length; i++)
                Assert.AreEqual(After(optimizer, old[i]), now[i], 1e-5 * Math.Max(1, Math.Abs(old[i])), $"{what}[{i}]");
        }
    }

    // What the last activation lets through is 0, and so is its gradient. The kernel of 2,000 units is longer than
    // the pieces that the CPU engine takes at a time.
    static Network[] Networks =>
    [
        Network.Input(3).BatchNormalization().Dense(2000).BatchNormalization().ReLU().Dense(1, name: "last").ReLU(),
        Network.Input(2, 4, 4).Conv2D(3, (2, 2)).BatchNormalization().ReLU().Flatten().Dense(1, name: "last").ReLU(),
    ];

    static NetworkState Start(Network network)
    {
        NetworkState state = network.Initialize(1);
        foreach (string path in state.Paths)
        {
            LayerState layer = state[path];
            state = state.With(
                path,
                layer.BatchNormalization is { } norm
                    ? new LayerState(norm.WithAffine(norm.Gamma, Sample.Floats(norm.Beta.Length, 2)))
                    : new LayerState(layer.Kernel, Sample.Floats(layer.Bias.Length, 3)));
        }
        return state.With("last", new LayerState(state["last"].Kernel, [-1e4f]));
    }

    /// <summary>The formulas without a gradient.</summary>
    static double After(Optimizer optimizer, double p)
    {
        double rate = optimizer.LearningRate, decay = optimizer.WeightDecay, m = 0, v = 0;
        for (int step = 1; step <= Steps; step++)
        {
            double g = decay * p;
            switch (optimizer)
            {
                case AdamWOptimizer:
                    p -= rate * g;
                    break;
                case AdamOptimizer adam:
                    m = adam.Beta1 * m + (1 - adam.Beta1) * g;
                    v = adam.Beta2 * v + (1 - adam.Beta2) * g * g;
                    p -= rate * m / (1 - Math.Pow(adam.Beta1, step))
                        / (Math.Sqrt(v / (1 - Math.Pow(adam.Beta2, step))) + adam.Epsilon);
                    break;
                case SgdOptimizer sgd:
                    m = sgd.Momentum * m + g;
                    p -= rate * (sgd.Nesterov ? g + sgd.Momentum * m : m);
                    break;
            }
        }
        return p;
    }
}
