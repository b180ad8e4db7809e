using System.IO.Enumeration;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Extension methods for any TorchSharp module that contains <c>BatchNorm1d</c>, <c>2d</c> or <c>3d</c>, such as a
/// pretrained base that is fine-tuned. They freeze the statistics of the batch normalizations, their γ and β, or both,
/// and recompute the statistics.
/// </summary>
/// <remarks>
/// <c>eval()</c> on a batch normalization lasts only until the next <c>train()</c> on a module around it. A layer that
/// is frozen here stays frozen until you unfreeze it.
/// </remarks>
public static class BatchNormalizationSwitches
{
    /// <summary>Freezes batch normalizations in a module, and the module itself if it is one.</summary>
    /// <param name="module">The module.</param>
    /// <param name="updateStatistics">
    /// False: the layers normalize with their moving statistics and do not change them, whatever <c>train()</c> says.
    /// </param>
    /// <param name="trainAffine">
    /// False: γ and β no longer require gradients. An optimizer that already has gradients of them may still change
    /// them by weight decay, so make a new one from the parameters that require gradients.
    /// </param>
    /// <param name="names">
    /// Names as in <c>named_modules()</c>, of batch normalizations (<c>backbone.layer1.bn</c>) or of modules that
    /// contain some (<c>backbone</c>). <c>*</c> stands for any characters, <c>?</c> for one. Null for all.
    /// </param>
    /// <returns>The number of layers that were frozen.</returns>
    /// <exception cref="ArgumentException">A name matches no batch normalization.</exception>
    public static int FreezeBatchNormalization(
        this torch.nn.Module module, bool updateStatistics = false, bool trainAffine = false,
        IEnumerable<string>? names = null)
    {
        (string, BatchNormModule Module)[] norms = Find(module, names);
        foreach ((_, BatchNormModule norm) in norms)
            FreezeGuard.Set(norm, updateStatistics, trainAffine);
        return norms.Length;
    }

    /// <summary>
    /// Undoes <see cref="FreezeBatchNormalization"/>: γ and β require gradients again if they did before, and the
    /// layers are in the mode of <paramref name="module"/>.
    /// </summary>
    /// <param name="module">The module.</param>
    /// <param name="names">Names and patterns, as in <see cref="FreezeBatchNormalization"/>. Null for all.</param>
    /// <returns>The number of layers that had been frozen.</returns>
    /// <exception cref="ArgumentException">A name matches no batch normalization.</exception>
    public static int UnfreezeBatchNormalization(this torch.nn.Module module, IEnumerable<string>? names = null)
    {
        BatchNormModule[] norms = [.. Find(module, names).Select(norm => norm.Module).Where(FreezeGuard.Remove)];
        if (module.training)
            Array.ForEach(norms, norm => norm.train(true));
        return norms.Length;
    }

    /// <summary>
    /// Replaces the moving statistics of the batch normalizations in a module by the statistics of a data set, with the
    /// parameters as they are. Frozen statistics stay. The variance is the sample variance, as in PyTorch, and
    /// <c>num_batches_tracked</c> becomes the number of batches.
    /// </summary>
    /// <param name="module">
    /// The module. Its modes and momenta are the same afterwards. After an error, its statistics are, too.
    /// </param>
    /// <param name="batches">The data set, batch by batch, with the rows in the first dimension.</param>
    /// <param name="onePass">
    /// <para>False: each layer gets the exact statistics of its input in inference mode, after the layers that run
    /// before it have got theirs. They do not depend on the size of the batches, and are those of
    /// <see cref="TrainingOptions.RecomputeStatistics"/>. The module is run on all batches once per layer, and must run
    /// each layer by <c>call()</c>.</para>
    /// <para>True: the module is run on all batches once. Its batch normalizations are in training mode and normalize
    /// with each batch's own statistics. A layer that is run by <c>call()</c> gets the exact statistics of its input. A
    /// layer that is run by <c>forward()</c> gets the average of the batches' means and of their sample variances, in
    /// which each batch counts the same, as with PyTorch's <c>swa_utils.update_bn</c>.</para>
    /// <para>Dropout is off in both. Default: false.</para>
    /// </param>
    /// <returns>The number of layers whose statistics were replaced.</returns>
    /// <remarks>
    /// Exact statistics need a hook that sees the layer's input. TorchSharp runs hooks in <c>call()</c>, but not in
    /// <c>forward()</c>. <c>Sequential</c> runs its modules by <c>call()</c>.
    /// </remarks>
    /// <exception cref="InvalidOperationException">
    /// No batch reached a layer or, if <paramref name="onePass"/> is false, none reached it by <c>call()</c>. The
    /// message names the layer.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// A layer's input is not finite, or has only a single value per channel: in all batches together or, if
    /// <paramref name="onePass"/> is true, in one batch.
    /// </exception>
    public static int RecomputeStatistics(
        this torch.nn.Module<Tensor, Tensor> module, IEnumerable<Tensor> batches, bool onePass = false) =>
        RecomputeStatistics(module, batches, batch => module.call(batch), onePass);

    /// <summary>Recomputes the statistics of a module with any inputs and outputs.</summary>
    /// <param name="module">
    /// The module. Its modes and momenta are the same afterwards. After an error, its statistics are, too.
    /// </param>
    /// <param name="batches">The data set, batch by batch.</param>
    /// <param name="forward">
    /// Runs the module on a batch, by <c>call()</c>. The tensors that it makes are disposed of afterwards.
    /// </param>
    /// <param name="onePass">
    /// False: exact statistics in inference mode, in one pass per layer. True: one pass in training mode. Default:
    /// false.
    /// </param>
    /// <inheritdoc cref="RecomputeStatistics(torch.nn.Module{Tensor, Tensor}, IEnumerable{Tensor}, bool)"/>
    public static int RecomputeStatistics<TBatch>(
        this torch.nn.Module module, IEnumerable<TBatch> batches, Action<TBatch> forward, bool onePass = false)
    {
        ArgumentNullException.ThrowIfNull(batches);
        ArgumentNullException.ThrowIfNull(forward);
        (string, BatchNormModule)[] norms = [.. Find(module)
            .Where(norm => norm.Module.running_mean is not null && !FreezeGuard.KeepsStatistics(norm.Module))];
        if (norms.Length == 0)
            return 0;
        using IDisposable noGradient = torch.no_grad();
        using var recomputation = new ModuleStatisticsRecomputation(module, norms, Pass);
        if (onePass)
            recomputation.RunOnce();
        else
            recomputation.RunLayerByLayer();
        return norms.Length;

        long Pass()
        {
            long count = 0;
            foreach (TBatch batch in batches)
            {
                using var scope = torch.NewDisposeScope();
                forward(batch);
                count++;
            }
            return count;
        }
    }

    /// <summary>
    /// The batch normalizations in a module, and the module itself if it is one, in the order of registration.
    /// </summary>
    static (string Name, BatchNormModule Module)[] Find(torch.nn.Module module)
    {
        ArgumentNullException.ThrowIfNull(module);
        return
        [
            .. from entry in module.named_modules().Prepend((name: "", module)).DistinctBy(entry => entry.module)
               where entry.module is BatchNormModule
               select (entry.name, (BatchNormModule)entry.module),
        ];
    }

    /// <summary>
    /// The batch normalizations that a name or pattern matches; all if <paramref name="names"/> is null.
    /// </summary>
    static (string Name, BatchNormModule Module)[] Find(torch.nn.Module module, IEnumerable<string>? names)
    {
        (string Name, BatchNormModule Module)[] all = Find(module);
        if (names is null)
            return all;
        string[] patterns = [.. names];
        foreach (string pattern in patterns)
        {
            if (!Array.Exists(all, norm => Matches(pattern, norm.Name)))
                throw new ArgumentException(
                    $"'{pattern}' matches no batch normalization; there are "
                    + $"{string.Join(", ", all.Select(norm => norm.Name))}.",
                    nameof(names));
        }
        return [.. all.Where(norm => Array.Exists(patterns, pattern => Matches(pattern, norm.Name)))];
    }

    /// <summary>Whether the pattern matches the path, or the path of a module around it.</summary>
    static bool Matches(string pattern, string path)
    {
        if (path.Length == 0)
            return pattern == "*";
        for (int end = path.Length; end > 0; end = path.LastIndexOf('.', end - 1))
        {
            if (FileSystemName.MatchesSimpleExpression(pattern, path.AsSpan(0, end), ignoreCase: false))
                return true;
        }
        return false;
    }
}

/// <summary>
/// A module without parameters that becomes a child of a batch normalization and keeps it frozen. TorchSharp's
/// <c>train</c> changes a module first and then its children. So whichever module <c>train</c> was called on, the guard
/// is called after its parent and sets it back to inference mode.
/// </summary>
sealed class FreezeGuard : torch.nn.Module
{
    const string ChildName = "frozen_batch_normalization";

    // If a field held the parent itself, TorchSharp would register the parent as a child.
    readonly Action keepInference;
    readonly bool keepsStatistics, trainsWeight, trainsBias;

    FreezeGuard(BatchNormModule norm, bool keepsStatistics) : base(ChildName)
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

    /// <summary>Freezes what the switches say, instead of what was frozen before.</summary>
    public static void Set(BatchNormModule norm, bool updateStatistics, bool trainAffine)
    {
        Remove(norm);
        if (updateStatistics && trainAffine)
            return;
        var guard = new FreezeGuard(norm, !updateStatistics);
        norm.register_module(ChildName, guard);
        guard.train(true);
        if (trainAffine)
            return;
        SetTrained(norm.weight, false);
        SetTrained(norm.bias, false);
    }

    /// <summary>Removes the guard, restores what required gradients, and returns whether there was a guard.</summary>
    public static bool Remove(BatchNormModule norm)
    {
        if (Of(norm) is not { } guard)
            return false;
        norm.register_module(ChildName, null!);
        SetTrained(norm.weight, guard.trainsWeight);
        SetTrained(norm.bias, guard.trainsBias);
        guard.Dispose();
        return true;
    }

    /// <summary>Whether a guard keeps the moving statistics as they are.</summary>
    public static bool KeepsStatistics(BatchNormModule norm) => Of(norm) is { keepsStatistics: true };

    static FreezeGuard? Of(BatchNormModule norm) => norm.children().OfType<FreezeGuard>().FirstOrDefault();

    static void SetTrained(Tensor? parameter, bool isTrained)
    {
        if (parameter is not null)
            parameter.requires_grad = isTrained;
    }
}
