using TorchSharp;
using TorchSharp.Modules;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>A training with Adam as a user of TorchSharp writes it, a step at a time.</summary>
sealed class TorchTraining : IDisposable
{
    readonly Sequential network;
    readonly torch.optim.Optimizer optimizer;
    readonly Tensor features, targets;
    readonly Tensor[] batches;
    int next;

    public TorchTraining(Subject subject, int dataRows, string device = "cpu")
    {
        var on = new torch.Device(device);
        TrainingData data = subject.Data(dataRows);
        features = torch.tensor(data.Features.ToArray(), subject.InputShape(dataRows), device: on);
        targets = torch.tensor(Array.ConvertAll(data.Targets.ToArray(), target => (long)target), device: on);
        batches = Array.ConvertAll(
            subject.Batches(dataRows), rows => torch.tensor(Array.ConvertAll(rows, row => (long)row), device: on));
        network = TorchNetwork.Of(subject.Network, subject.Network.Initialize(1), device);
        optimizer = torch.optim.Adam(network.parameters(), lr: 0.001);
    }

    /// <summary>A step on the next batch, and its loss.</summary>
    public double Loss()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        return Enqueue().ToSingle();
    }

    public void Step() => Loss();

    /// <summary>A step whose loss stays on the device.</summary>
    public void StepAhead()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        Enqueue();
    }

    public void Dispose()
    {
        optimizer.Dispose();
        network.Dispose();
        features.Dispose();
        targets.Dispose();
        Array.ForEach(batches, batch => batch.Dispose());
    }

    Tensor Enqueue()
    {
        Tensor rows = batches[next];
        next = (next + 1) % batches.Length;
        optimizer.zero_grad();
        Tensor loss = torch.nn.functional.cross_entropy(
            network.call(features.index_select(0, rows)), targets.index_select(0, rows));
        loss.backward();
        optimizer.step();
        return loss;
    }
}
