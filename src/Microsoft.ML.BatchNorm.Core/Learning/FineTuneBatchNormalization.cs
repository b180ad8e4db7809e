namespace Microsoft.ML.BatchNorm;

/// <summary>What becomes of the batch normalizations under a head while all layers train.</summary>
public enum FineTuneBatchNormalization
{
    /// <summary>They stay as they are, in inference mode, γ and β too: <c>trainable = False</c> in Keras.</summary>
    KeepFrozen,

    /// <summary>γ and β learn; the moving statistics stay, and the layers normalize with them. The default.</summary>
    KeepStatistics,

    /// <summary>They train as any layer: batch statistics, and moving statistics that follow the new data.</summary>
    Train,
}
