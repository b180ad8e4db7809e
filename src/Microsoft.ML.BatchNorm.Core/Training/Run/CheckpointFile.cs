using Microsoft.ML.BatchNorm.Persistence;

namespace Microsoft.ML.BatchNorm.Training;

/// <summary>Replaces a file by a checkpoint, all at once.</summary>
static class CheckpointFile
{
    public static void CheckFolder(string path)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"CheckpointPath is in a folder that does not exist: '{folder}'.");
    }

    public static void Write(string path, TrainingCheckpoint checkpoint) => WholeFile.Write(path, checkpoint.Save);
}
