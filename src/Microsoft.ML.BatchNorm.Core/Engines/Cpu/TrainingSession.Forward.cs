namespace Microsoft.ML.BatchNorm;

sealed unsafe partial class TrainingSession
{
    /// <summary>
    /// All rows of the data as one batch in training mode, as the next step has them, but nothing learns: statistics
    /// move.
    /// </summary>
    /// <param name="outputs">Receives one row of outputs for each.</param>
    /// <exception cref="InvalidDataException">A value is not finite where that is an error.</exception>
    public void Forward(Span<float> outputs)
    {
        BeginTraining([.. Enumerable.Range(0, data.Rows)]);
        new Schedule([input.FromData, .. stages.SelectMany(stage => stage.Forward())], step, team).Run();
        input.ThrowIfNonFinite(firstRow: null);
        foreach (BatchNormalizationStage normalization in stages.OfType<BatchNormalizationStage>())
            normalization.TakeStatistics();
        CopyOutputs(outputs);
        GC.KeepAlive(this);
    }
}
