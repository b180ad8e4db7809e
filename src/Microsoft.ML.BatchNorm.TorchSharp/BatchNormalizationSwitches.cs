using Microsoft.ML.BatchNorm.TorchSharp.Switches;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// The two halves of a frozen batch normalization, for any TorchSharp module that holds <c>BatchNorm1d</c>, <c>2d</c>
/// or <c>3d</c>, such as a pretrained base that is fine-tuned.
/// </summary>
/// <remarks>
/// <c>eval()</c> on a batch normalization lasts until the next <c>train()</c> on any module around it. What is frozen
/// here stays so until it is unfrozen by name.
/// </remarks>
public static class BatchNormalizationSwitches
{
    /// <summary>Freezes batch normalizations in a module, and the module itself if it is one.</summary>
    /// <param name="module">The module.</param>
    /// <param name="updateStatistics">
    /// False: the layers normalize with their moving statistics and leave them, whatever <c>train()</c> says.
    /// </param>
    /// <param name="trainAffine">
    /// False: γ and β no longer require gradients. An optimizer that has their gradients already may still apply its
    /// weight decay to them: make one of the parameters that require gradients.
    /// </param>
    /// <param name="names">
    /// Names as <c>named_modules()</c> has them (<c>backbone.layer1.bn</c>), or of modules for all in them; <c>*</c>
    /// stands for any characters, <c>?</c> for one. Null for all.
    /// </param>
    /// <returns>The number of layers that were frozen.</returns>
    /// <exception cref="ArgumentException">A name matches no batch normalization.</exception>
    public static int FreezeBatchNormalization(
        this torch.nn.Module module, bool updateStatistics = false, bool trainAffine = false,
        IEnumerable<string>? names = null)
    {
        IReadOnlyList<AnyBatchNorm> norms = AnyBatchNorm.In(module, names);
        foreach (AnyBatchNorm norm in norms)
            Freeze.Set(norm, updateStatistics, trainAffine);
        return norms.Count;
    }

    /// <summary>
    /// Undoes <see cref="FreezeBatchNormalization"/>: γ and β require gradients again if they did before, and the
    /// layers are in the mode of <paramref name="module"/>.
    /// </summary>
    /// <param name="module">The module.</param>
    /// <param name="names">Names and patterns, as for freezing. Null for all.</param>
    /// <returns>The number of layers that had been frozen.</returns>
    /// <exception cref="ArgumentException">A name matches no batch normalization.</exception>
    public static int UnfreezeBatchNormalization(this torch.nn.Module module, IEnumerable<string>? names = null)
    {
        AnyBatchNorm[] norms = [.. AnyBatchNorm.In(module, names).Where(Freeze.Undo)];
        if (module.training)
            Array.ForEach(norms, norm => norm.Module.train(true));
        return norms.Length;
    }

    /// <summary>
    /// Replaces the moving statistics of every batch normalization in a module that is not frozen by the exact ones of
    /// all batches, under the parameters as they are: layer after layer, in the order in which they compute, each over
    /// what the layers before it give in inference mode with the statistics that they have just got. The variance is
    /// the sample variance, as in PyTorch.
    /// </summary>
    /// <param name="module">The module; its modes are as before when this is over.</param>
    /// <param name="batches">The data; gone through once for each batch normalization.</param>
    /// <exception cref="InvalidOperationException">
    /// A layer is never reached, or its module is run by <c>forward()</c>, where TorchSharp runs no hooks, instead of
    /// <c>call()</c>; the message names it.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// A layer's input is not finite, or has a single value a channel.
    /// </exception>
    public static void RecomputeStatistics(this torch.nn.Module<Tensor, Tensor> module, IEnumerable<Tensor> batches) =>
        RecomputeStatistics(module, batches, batch => module.call(batch));

    /// <summary>The same for a module of any inputs and outputs.</summary>
    /// <param name="module">The module; its modes are as before when this is over.</param>
    /// <param name="batches">The data; gone through once for each batch normalization.</param>
    /// <param name="forward">
    /// Runs the module on a batch, by <c>call()</c>. Its tensors are disposed of afterwards.
    /// </param>
    /// <inheritdoc cref="RecomputeStatistics(torch.nn.Module{Tensor, Tensor}, IEnumerable{Tensor})"/>
    public static void RecomputeStatistics<TBatch>(
        this torch.nn.Module module, IEnumerable<TBatch> batches, Action<TBatch> forward)
    {
        ArgumentNullException.ThrowIfNull(batches);
        ArgumentNullException.ThrowIfNull(forward);
        IReadOnlyList<AnyBatchNorm> norms = [.. AnyBatchNorm.In(module).Where(norm => norm.RunningMean is not null)];
        new Recomputation(norms).Run(module, batches, forward);
    }
}
