using System.IO.Enumeration;

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
    /// weight decay to them: make a new one from the parameters that require gradients.
    /// </param>
    /// <param name="names">
    /// Names of batch normalizations as <c>named_modules()</c> has them (<c>backbone.layer1.bn</c>), or of modules for
    /// all in them; <c>*</c> stands for any characters, <c>?</c> for one. Null for all.
    /// </param>
    /// <returns>The number of layers that were frozen.</returns>
    /// <exception cref="ArgumentException">A name matches no batch normalization.</exception>
    public static int FreezeBatchNormalization(
        this torch.nn.Module module, bool updateStatistics = false, bool trainAffine = false,
        IEnumerable<string>? names = null)
    {
        (string, BatchNormModule Module)[] norms = Find(module, names);
        foreach ((_, BatchNormModule norm) in norms)
            Freeze.Set(norm, updateStatistics, trainAffine);
        return norms.Length;
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
        BatchNormModule[] norms = [.. Find(module, names).Select(norm => norm.Module).Where(Freeze.Undo)];
        if (module.training)
            Array.ForEach(norms, norm => norm.train(true));
        return norms.Length;
    }

    /// <summary>
    /// Replaces the moving statistics of every batch normalization in a module that is not frozen by those of all
    /// batches, under the parameters as they are. The variance is the sample variance, as in PyTorch, and
    /// <c>num_batches_tracked</c> becomes the number of batches.
    /// </summary>
    /// <param name="module">
    /// The module. Its modes and momenta are the same afterwards, and after an error its statistics too.
    /// </param>
    /// <param name="batches">The data, rows in the first dimension.</param>
    /// <param name="onePass">
    /// False: each layer gets the exact statistics of its input when the module is in inference mode and the layers
    /// that run before it have their new statistics. They do not depend on the size of the batches, and are those of
    /// <see cref="TrainingOptions.RecomputeStatistics"/>. The module goes through all batches once per layer, and must
    /// run each layer by <c>call()</c>. True: the module goes through all batches once, while its batch normalizations
    /// are in training mode and normalize with each batch's own statistics. A layer that is run by <c>call()</c> gets
    /// the exact statistics of its input. A layer that is run by <c>forward()</c> gets the average of the batches'
    /// means and of their sample variances, each batch counted alike, as with PyTorch's <c>swa_utils.update_bn</c>.
    /// Dropout is off in both.
    /// </param>
    /// <returns>The number of layers whose statistics were replaced.</returns>
    /// <remarks>
    /// Exact statistics need a hook that sees the layer's input, and TorchSharp runs hooks in <c>call()</c>, not in
    /// <c>forward()</c>. <c>Sequential</c> runs its modules by <c>call()</c>.
    /// </remarks>
    /// <exception cref="InvalidOperationException">
    /// No batch reached a layer; or, if <paramref name="onePass"/> is false, none reached it by <c>call()</c>. The
    /// message names the layer.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// A layer's input is not finite, or has a single value per channel: in all batches together, or, if
    /// <paramref name="onePass"/> is true, in one batch.
    /// </exception>
    public static int RecomputeStatistics(
        this torch.nn.Module<Tensor, Tensor> module, IEnumerable<Tensor> batches, bool onePass = false) =>
        RecomputeStatistics(module, batches, batch => module.call(batch), onePass);

    /// <summary>The same for a module of any inputs and outputs.</summary>
    /// <param name="module">
    /// The module. Its modes and momenta are the same afterwards, and after an error its statistics too.
    /// </param>
    /// <param name="batches">The data.</param>
    /// <param name="forward">
    /// Runs the module on a batch, by <c>call()</c>. Its tensors are disposed of afterwards.
    /// </param>
    /// <param name="onePass">
    /// False: exact statistics in inference mode, in one pass per layer. True: one pass in training mode.
    /// </param>
    /// <inheritdoc cref="RecomputeStatistics(torch.nn.Module{Tensor, Tensor}, IEnumerable{Tensor}, bool)"/>
    public static int RecomputeStatistics<TBatch>(
        this torch.nn.Module module, IEnumerable<TBatch> batches, Action<TBatch> forward, bool onePass = false)
    {
        ArgumentNullException.ThrowIfNull(batches);
        ArgumentNullException.ThrowIfNull(forward);
        (string, BatchNormModule)[] norms = [.. Find(module)
            .Where(norm => norm.Module.running_mean is not null && !Freeze.KeepsStatistics(norm.Module))];
        if (norms.Length == 0)
            return 0;
        using IDisposable noGradient = torch.no_grad();
        using var recomputation = new Recomputation(module, norms, Pass);
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

    /// <summary>The batch normalizations in a module, itself among them, in the order of registration.</summary>
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

    /// <summary>Those that a pattern matches; all if there are no patterns.</summary>
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

    /// <summary>Whether the pattern matches the path, or that of a module around it.</summary>
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
