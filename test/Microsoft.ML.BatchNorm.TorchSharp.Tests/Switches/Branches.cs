using TorchSharp.Modules;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Switches;

/// <summary>
/// Batch normalizations beside each other, of which the sum goes into a last one, which is registered first.
/// </summary>
sealed class Branches : torch.nn.Module<Tensor, Tensor>
{
    readonly BatchNorm1d last;
    readonly Sequential[] branches;
    readonly bool calls;

    public Branches(int inputs, int count, bool calls) : base(nameof(Branches))
    {
        last = torch.nn.BatchNorm1d(3);
        branches = [.. Enumerable.Range(0, count).Select(i => torch.nn.Sequential(
            ("linear", torch.nn.Linear(inputs, 3)), ("norm", torch.nn.BatchNorm1d(3, momentum: 0.05 * (i + 1)))))];
        this.calls = calls;
        register_module("last", last);
        for (int i = 0; i < count; i++)
            register_module($"branch{i}", branches[i]);
    }

    public BatchNorm1d Last => last;

    public BatchNorm1d Norm(int branch) => (BatchNorm1d)branches[branch][1];

    public Linear Linear(int branch) => (Linear)branches[branch][0];

    /// <summary>What goes into the last one.</summary>
    public Tensor Sum(Tensor x) => branches.Select(branch => Run(branch, x).relu()).Aggregate((a, b) => a + b);

    public override Tensor forward(Tensor x) => calls ? last.call(Sum(x)) : last.forward(Sum(x));

    Tensor Run(Sequential branch, Tensor x)
    {
        Tensor y = ((Linear)branch[0]).call(x);
        var norm = (BatchNorm1d)branch[1];
        return calls ? norm.call(y) : norm.forward(y);
    }
}
