namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// A module without parameters that is put into a batch normalization to keep it frozen. TorchSharp's <c>train</c>
/// changes a module first and then its children, so this child sets its owner back, whichever module was called.
/// </summary>
sealed class Freeze : torch.nn.Module
{
    const string ChildName = "frozen_batch_normalization";

    // A field with the owner itself would make TorchSharp take the owner for a child.
    readonly Action keepInference;
    readonly bool keepsStatistics, trainsWeight, trainsBias;

    Freeze(BatchNormModule norm, bool keepsStatistics) : base(ChildName)
    {
        this.keepsStatistics = keepsStatistics;
        trainsWeight = norm.weight?.requires_grad ?? false;
        trainsBias = norm.bias?.requires_grad ?? false;
        keepInference = () => norm.train(false);
    }

    public override void train(bool train = true)
    {
        if (train && keepsStatistics)
            keepInference();
    }

    public static void Set(BatchNormModule norm, bool updateStatistics, bool trainAffine)
    {
        Undo(norm);
        if (updateStatistics && trainAffine)
            return;
        var freeze = new Freeze(norm, !updateStatistics);
        norm.register_module(ChildName, freeze);
        freeze.train(true);
        if (trainAffine)
            return;
        SetTrained(norm.weight, false);
        SetTrained(norm.bias, false);
    }

    /// <summary>Takes the freeze off, and returns whether there was one.</summary>
    public static bool Undo(BatchNormModule norm)
    {
        if (Of(norm) is not { } freeze)
            return false;
        norm.register_module(ChildName, null!);
        SetTrained(norm.weight, freeze.trainsWeight);
        SetTrained(norm.bias, freeze.trainsBias);
        freeze.Dispose();
        return true;
    }

    /// <summary>Whether a freeze keeps the moving statistics.</summary>
    public static bool KeepsStatistics(BatchNormModule norm) => Of(norm) is { keepsStatistics: true };

    static Freeze? Of(BatchNormModule norm) => norm.children().OfType<Freeze>().FirstOrDefault();

    static void SetTrained(Tensor? parameter, bool isTrained)
    {
        if (parameter is not null)
            parameter.requires_grad = isTrained;
    }
}
