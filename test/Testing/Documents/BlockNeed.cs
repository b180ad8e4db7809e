namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>What the code of a document needs beyond the core, and so which tests run it.</summary>
enum BlockNeed
{
    None,
    ML,
    Import,
    Mpi,
    TorchSharp,
}
