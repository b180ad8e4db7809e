namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>What else is in a network or a checkpoint.</summary>
[Flags]
enum PartFlags : ushort
{
    None = 0,

    /// <summary>The layers' states have a place for those of TorchScript layers, of which one was trained.</summary>
    TorchScriptStates = 1,
}
