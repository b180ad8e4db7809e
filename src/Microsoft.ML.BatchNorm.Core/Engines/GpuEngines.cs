namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Where an assembly with an engine for GPUs registers it when it is loaded. Core names no such assembly; the ML.NET
/// layer loads it when a context asks for a GPU.
/// </summary>
static class GpuEngines
{
    /// <summary>
    /// Makes an engine on the GPU with the given number, from 0; null while no such assembly is loaded. The function
    /// throws an <see cref="InvalidOperationException"/> that says what is missing if the GPU is not available.
    /// </summary>
    public static Func<int, IStatisticsEngine>? ForStatistics { get; set; }

    /// <inheritdoc cref="ForStatistics"/>
    public static Func<int, ITrainingEngine>? ForTraining { get; set; }
}
