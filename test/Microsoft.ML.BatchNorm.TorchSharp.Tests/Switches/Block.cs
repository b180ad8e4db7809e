using TorchSharp.Modules;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Switches;

/// <summary>A module as people write them: fields, and a forward that runs them by forward() or by call().</summary>
sealed class Block : torch.nn.Module<Tensor, Tensor>
{
    readonly Linear linear;
    readonly BatchNorm1d norm;
    readonly bool calls;

    public Block(int inputs, int outputs, bool calls) : base(nameof(Block))
    {
        linear = torch.nn.Linear(inputs, outputs);
        norm = torch.nn.BatchNorm1d(outputs);
        this.calls = calls;
        RegisterComponents();
    }

    public BatchNorm1d Norm => norm;

    public override Tensor forward(Tensor x) =>
        calls ? norm.call(linear.call(x)).relu() : norm.forward(linear.forward(x)).relu();
}
