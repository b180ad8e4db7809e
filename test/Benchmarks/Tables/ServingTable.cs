namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Inference of one row and of many, beside libtorch and ONNX Runtime.</summary>
static class ServingTable
{
    public static Table Make() => new(
        "serving",
        "Inference on one thread, a row alone or many in a call; a row's time. The peers' tensors are made beforehand.",
        Unit.Microseconds, ["libtorch", "ONNX Runtime"],
        from subject in Subject.Dense.Concat(Subject.Images)
        from rows in new[] { 1, subject.IsOfImages ? 64 : 1000 }
        select new Comparison(
            $"{subject.Title}, {(rows == 1 ? "1 row" : $"{rows:N0} rows")}", () => Contest(subject, rows)));

    static Contest Contest(Subject subject, int rows)
    {
        Network network = subject.Network;
        NetworkState state = network.Initialize(1);
        var model = new NetworkModel(network, state);
        float[] features = subject.Features(rows), outputs = model.Predict(features);
        TorchServing? torch = Libtorch.OnThreads(1, () => new TorchServing(subject, state, features, rows));
        if (torch is not null)
            Agreement.Check("libtorch's outputs", outputs, torch.Outputs());
        var onnx = new OnnxServing(subject, state, features, rows, threads: 1);
        onnx.Run();
        Agreement.Check("ONNX Runtime's outputs", outputs, onnx.Results);
        return new Contest(rows, () => model.Predict(features, outputs))
            .Against(torch is null ? null : torch.Run).Against(onnx.Run).Owning(torch, onnx);
    }
}
