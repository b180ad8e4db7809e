namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Replaces a file as a whole. The new file is written beside the old one and then moved over it, so that a reader
/// finds the old file or the new one and never a part, even if the process is killed.
/// </summary>
static class WholeFile
{
    const int NameLength = 32;
    const string Extension = ".tmp";

    /// <summary>
    /// The longest time from closing a partial file to moving it. During this time no process has the file open, but it
    /// must not be deleted.
    /// </summary>
    static readonly TimeSpan longestMove = TimeSpan.FromMinutes(1);

    public static void Write(string path, Action<Stream> write)
    {
        // If the path is a link, its target is replaced and the link stays.
        var file = new FileInfo(path);
        bool isDevice = IsDevice(file.FullName);
        if (!isDevice && file.LinkTarget is not null)
            file = (FileInfo)file.ResolveLinkTarget(returnFinalTarget: true)!;
        path = file.FullName;
        if (isDevice || IsDevice(path))
        {
            // A device is written to, and not replaced.
            using var device = new FileStream(path, FileMode.Open, FileAccess.Write);
            write(device);
            return;
        }
        string folder = Path.GetDirectoryName(path)!;
        string partial = Path.Combine(folder, $"{Path.GetFileName(path)}.{Guid.NewGuid():N}{Extension}");
        try
        {
            using (var stream = new FileStream(partial, FileMode.CreateNew, FileAccess.Write, FileShare.None))
            {
                if (!OperatingSystem.IsWindows() && file.Exists)
                    File.SetUnixFileMode(stream.SafeFileHandle, file.UnixFileMode);
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(partial, path, overwrite: true);
        }
        catch
        {
            File.Delete(partial);
            throw;
        }
        Sweep(folder, Path.GetFileName(path));
    }

    static bool IsDevice(string path) =>
        path.StartsWith("/dev/", StringComparison.Ordinal) && !path.StartsWith("/dev/shm/", StringComparison.Ordinal);

    /// <summary>Deletes partial files that killed processes have left beside a file.</summary>
    static void Sweep(string folder, string name)
    {
        try
        {
            foreach (string left in Directory.EnumerateFiles(folder, $"*{Extension}"))
            {
                if (IsPartial(Path.GetFileName(left), name)
                    && DateTime.UtcNow - File.GetLastWriteTimeUtc(left) > longestMove)
                    DeleteUnheld(left);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The file itself is written, so this is no error.
        }
    }

    static bool IsPartial(string left, string name) =>
        left.Length == name.Length + 1 + NameLength + Extension.Length
        && left.StartsWith($"{name}.", StringComparison.Ordinal)
        && Guid.TryParseExact(left.AsSpan(name.Length + 1, NameLength), "N", out _);

    static void DeleteUnheld(string left)
    {
        try
        {
            using (new FileStream(left, FileMode.Open, FileAccess.Write, FileShare.None))
            {
            }
            File.Delete(left);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Another process is writing it, or has deleted it.
        }
    }
}
