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
    /// all batches, under the parameters as they are. The variance is the sample variance, as in PyTorch, and
    /// <c>num_batches_tracked</c> becomes the number of batches.
    /// </summary>
    /// <param name="module">The module; its modes are as before afterwards, and all of it is after an error.</param>
    /// <param name="batches">
    /// The data, rows in the first dimension. Gone through once for each depth of batch normalizations, that is as
    /// often as there are on the longest way through the module, and once more where several share a depth; once for
    /// each layer that is run by <c>forward()</c>.
    /// </param>
    /// <param name="onePass">
    /// False: each layer's statistics are those of what the layers before it give in inference mode, with the
    /// statistics that they have just got: of what goes in when the module is used. They do not depend on the size of
    /// the batches, and are those of <see cref="TrainingOptions.RecomputeStatistics"/>. True: the data is gone through
    /// once, and the layers normalize with each batch's own statistics meanwhile, as in training and as with PyTorch's
    /// <c>swa_utils.update_bn</c>, which averages the batches' statistics where these are exact over all batches.
    /// Dropout is off in both.
    /// </param>
    /// <returns>The number of layers whose statistics were replaced.</returns>
    /// <remarks>
    /// What goes into a layer is seen by hooks, which TorchSharp runs in <c>call()</c>. A layer that is run by
    /// <c>forward()</c> tells only the mean and variance of each batch, in float, but not the number of values. That
    /// number follows from the first batch, which must have at least four rows, and its two halves: each row must give
    /// the layer the same number of values, independently of the others. This is checked on the first batch; the other
    /// batches must have rows of the same shape.
    /// </remarks>
    /// <exception cref="InvalidOperationException">
    /// A layer is never reached, or is run by <c>forward()</c> and what goes in cannot be told; the message names it.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// A layer's input is not finite, or has a single value a channel.
    /// </exception>
    public static int RecomputeStatistics(
        this torch.nn.Module<Tensor, Tensor> module, IEnumerable<Tensor> batches, bool onePass = false)
    {
        ArgumentNullException.ThrowIfNull(module);
        return Recompute(
            module, batches, batch => module.call(batch),
            new BatchRows<Tensor>(batch => batch.shape, (batch, from, rows) => batch.narrow(0, from, rows)), onePass);
    }

    /// <summary>The same for a module of any inputs and outputs, whose layers are run by <c>call()</c>.</summary>
    /// <param name="module">The module; its modes are as before afterwards, and all of it is after an error.</param>
    /// <param name="batches">The data; gone through once for each depth of batch normalizations.</param>
    /// <param name="forward">
    /// Runs the module on a batch, by <c>call()</c>. Its tensors are disposed of afterwards.
    /// </param>
    /// <param name="onePass">Whether the layers normalize with each batch's own statistics meanwhile.</param>
    /// <exception cref="InvalidOperationException">
    /// A layer is never reached, or is run by <c>forward()</c>, where TorchSharp runs no hooks; the message names it.
    /// </exception>
    /// <inheritdoc cref="RecomputeStatistics(torch.nn.Module{Tensor, Tensor}, IEnumerable{Tensor}, bool)"/>
    public static int RecomputeStatistics<TBatch>(
        this torch.nn.Module module, IEnumerable<TBatch> batches, Action<TBatch> forward, bool onePass = false)
    {
        ArgumentNullException.ThrowIfNull(forward);
        return Recompute(module, batches, forward, null, onePass);
    }

    static int Recompute<TBatch>(
        torch.nn.Module module, IEnumerable<TBatch> batches, Action<TBatch> forward, BatchRows<TBatch>? rows,
        bool onePass)
    {
        ArgumentNullException.ThrowIfNull(batches);
        return Recomputation.Run(
            module, AnyBatchNorm.In(module).Where(norm => norm.RunningMean is not null),
            new BatchFeed<TBatch>(batches, forward, rows), onePass);
    }
}
