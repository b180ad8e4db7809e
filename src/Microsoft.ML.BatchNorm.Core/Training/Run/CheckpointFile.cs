namespace Microsoft.ML.BatchNorm.Training;

/// <summary>Replaces a file by a checkpoint, all at once.</summary>
static class CheckpointFile
{
    public static void CheckFolder(string path)
    {
        string folder = Folder(path);
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"CheckpointPath is in a folder that does not exist: '{folder}'.");
    }

    public static void Write(string path, TrainingCheckpoint checkpoint)
    {
        string partial = Path.Combine(Folder(path), $"{Path.GetFileName(path)}.{Guid.NewGuid():N}.tmp");
        try
        {
            using (var stream = new FileStream(partial, FileMode.CreateNew, FileAccess.Write, FileShare.None))
            {
                checkpoint.Save(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(partial, path, overwrite: true);
        }
        catch
        {
            File.Delete(partial);
            throw;
        }
    }

    static string Folder(string path) => Path.GetDirectoryName(Path.GetFullPath(path))!;
}
