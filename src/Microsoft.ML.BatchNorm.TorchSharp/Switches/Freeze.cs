namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>
/// A module without parameters that is put into a batch normalization to keep it frozen. TorchSharp's <c>train</c> goes
/// through a module's children after the module itself; this child sets its owner back, whoever called and however the
/// owner's forward is then run.
/// </summary>
sealed class Freeze : torch.nn.Module
{
    const string ChildName = "frozen_batch_normalization";

    // Not the owner itself: TorchSharp takes every module in a field for a child.
    readonly Action keepInference;
    readonly bool keepsStatistics, trainsWeight, trainsBias;

    Freeze(AnyBatchNorm norm, bool keepsStatistics) : base(ChildName)
    {
        this.keepsStatistics = keepsStatistics;
        trainsWeight = norm.Weight?.requires_grad ?? false;
        trainsBias = norm.Bias?.requires_grad ?? false;
        keepInference = () => norm.Module.train(false);
    }

    public override void train(bool train = true)
    {
        if (train && keepsStatistics)
            keepInference();
    }

    public static void Set(AnyBatchNorm norm, bool updateStatistics, bool trainAffine)
    {
        Undo(norm);
        if (updateStatistics && trainAffine)
            return;
        var freeze = new Freeze(norm, !updateStatistics);
        norm.Module.register_module(ChildName, freeze);
        freeze.train(true);
        if (trainAffine)
            return;
        Learn(norm.Weight, false);
        Learn(norm.Bias, false);
    }

    /// <summary>Takes the freeze off, if there is one; true where there was.</summary>
    public static bool Undo(AnyBatchNorm norm)
    {
        if (Of(norm) is not { } freeze)
            return false;
        norm.Module.register_module(ChildName, null!);
        Learn(norm.Weight, freeze.trainsWeight);
        Learn(norm.Bias, freeze.trainsBias);
        freeze.Dispose();
        return true;
    }

    /// <summary>Whether the moving statistics are to stay.</summary>
    public static bool KeepsStatistics(AnyBatchNorm norm) => Of(norm) is { keepsStatistics: true };

    static Freeze? Of(AnyBatchNorm norm) => norm.Module.children().OfType<Freeze>().FirstOrDefault();

    static void Learn(Tensor? parameter, bool learns)
    {
        if (parameter is not null)
            parameter.requires_grad = learns;
    }
}
