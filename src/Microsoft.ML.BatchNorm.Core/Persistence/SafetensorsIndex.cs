using System.Text.Json;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Hugging Face's index of the safetensors files over which the tensors of a model are spread, such as
/// <c>model.safetensors.index.json</c>: <c>{"metadata": {…}, "weight_map": {"name of a tensor": "name of its file",
/// …}}</c>.
/// </summary>
static class SafetensorsIndex
{
    const int MaxLength = 100_000_000, MaxFiles = 1000, Listed = 10;
    const string Extension = ".safetensors";

    public static bool IsIndex(string path) => path.EndsWith(".json", StringComparison.OrdinalIgnoreCase);

    /// <summary>Opens the files that an index names, and checks that each tensor is where the index has it.</summary>
    /// <param name="path">The path of the index, in whose folder the files are.</param>
    /// <param name="rename">Gives each tensor another name; null if it keeps that in its file.</param>
    /// <exception cref="InvalidDataException">The index or a file is damaged, or they do not fit together.</exception>
    public static SafetensorsFiles Open(string path, Func<string, string>? rename)
    {
        Dictionary<string, string> fileOf = Parse(Read(path));
        string[] names = [.. fileOf.Values.Distinct(StringComparer.Ordinal)];
        if (names.Length > MaxFiles)
            throw new InvalidDataException($"The index names {names.Length} files; at most {MaxFiles} are allowed.");
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var files = new SafetensorsFiles();
        try
        {
            foreach (string name in names)
            {
                string file = Path.Combine(folder, name);
                if (!File.Exists(file))
                    throw new InvalidDataException(
                        $"The index names the file {SafetensorsEntry.Quote(name)}, which is not beside it.");
                files.Add(name, File.OpenRead(file), rename);
            }
            CheckPlaces(fileOf, files);
            return files;
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    static ReadOnlyMemory<byte> Read(string path)
    {
        using FileStream stream = File.OpenRead(path);
        var bytes = new MemoryStream();
        byte[] piece = new byte[16 * 1024];
        for (int read; (read = stream.Read(piece)) > 0;)
        {
            bytes.Write(piece.AsSpan(0, read));
            if (bytes.Length > MaxLength)
                throw new InvalidDataException($"The index has more than the {MaxLength} bytes that are allowed.");
        }
        return bytes.GetBuffer().AsMemory(0, (int)bytes.Length);
    }

    /// <summary>The file of each tensor.</summary>
    static Dictionary<string, string> Parse(ReadOnlyMemory<byte> bytes)
    {
        var fileOf = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            using JsonDocument json = JsonDocument.Parse(bytes, new() { AllowDuplicateProperties = false });
            if (json.RootElement.ValueKind != JsonValueKind.Object
                || !json.RootElement.TryGetProperty("weight_map"u8, out JsonElement map)
                || map.ValueKind != JsonValueKind.Object)
                throw new InvalidDataException(
                    "The index has no object \"weight_map\", which says in which file each tensor is.");
            var files = new HashSet<string>(StringComparer.Ordinal);
            foreach (JsonProperty entry in map.EnumerateObject())
            {
                string tensor = entry.Name;
                if (entry.Value.ValueKind != JsonValueKind.String)
                    throw new InvalidDataException(
                        $"The index is wrong: the file of tensor {SafetensorsEntry.Quote(tensor)} is not a string.");
                string file = entry.Value.GetString()!;
                if (!files.TryGetValue(file, out string? known))
                {
                    CheckName(file, tensor);
                    files.Add(known = file);
                }
                fileOf.Add(tensor, known);
            }
            return fileOf;
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"The index is not JSON, or it is truncated: {error.Message}", error);
        }
        catch (InvalidOperationException error)
        {
            // The kinds of values are checked, so that only half a surrogate pair or invalid UTF-8 leads here.
            throw new InvalidDataException("The index is wrong: a string in it is not valid Unicode.", error);
        }
    }

    /// <summary>Refuses names that lead out of the folder of the index.</summary>
    static void CheckName(string file, string tensor)
    {
        if (file.AsSpan().IndexOfAny("/\\:") >= 0 || !file.EndsWith(Extension, StringComparison.Ordinal))
            throw new InvalidDataException(
                $"The index has tensor {SafetensorsEntry.Quote(tensor)} in {SafetensorsEntry.Quote(file)}; it may only "
                + $"name {Extension} files in its own folder.");
    }

    static void CheckPlaces(Dictionary<string, string> fileOf, SafetensorsFiles files)
    {
        var faults = new List<string>();
        var found = new HashSet<string>(StringComparer.Ordinal);
        foreach ((string file, SafetensorsHeader header) in files.Headers)
        {
            foreach (string tensor in header.Tensors.Select(tensor => tensor.NameInFile))
            {
                if (fileOf.GetValueOrDefault(tensor) == file)
                    found.Add(tensor);
                else
                    faults.Add(
                        $"{SafetensorsEntry.Quote(tensor)} is in {SafetensorsEntry.Quote(file)}, where the index does "
                        + "not have it");
            }
        }
        faults.AddRange(fileOf.Where(entry => !found.Contains(entry.Key)).Select(entry =>
            $"{SafetensorsEntry.Quote(entry.Key)} is not in {SafetensorsEntry.Quote(entry.Value)}, where the index has "
            + "it"));
        if (faults.Count > 0)
            throw new InvalidDataException(
                $"The index does not fit its files: {string.Join("; ", faults.Take(Listed))}"
                + (faults.Count > Listed ? $"; and {faults.Count - Listed} more." : "."));
    }
}

/// <summary>The tensors of one safetensors file, or of several that an index names.</summary>
sealed class SafetensorsFiles : IDisposable
{
    readonly List<(string Name, FileStream Stream, SafetensorsReader Reader)> files = [];
    readonly SafetensorsReader? single;

    /// <summary>The files of an index, which are to be added.</summary>
    public SafetensorsFiles()
    {
    }

    /// <summary>A single file, whose stream stays the caller's.</summary>
    public SafetensorsFiles(SafetensorsReader file) => single = file;

    public SafetensorsHeader Header => field ??= single?.Header ?? SafetensorsHeader.Of(
        files.Select(file => file.Reader.Header));

    /// <summary>The headers of the files of an index.</summary>
    public IEnumerable<(string File, SafetensorsHeader Header)> Headers =>
        files.Select(file => (file.Name, file.Reader.Header));

    /// <summary>What a single file states besides its tensors; null if it states nothing.</summary>
    public WeightsDefinition? Definition => single is null ? null : WeightsDefinition.Of(single);

    public void Add(string name, FileStream stream, Func<string, string>? rename)
    {
        try
        {
            SafetensorsReader reader = OfFile(name, () => new SafetensorsReader(stream, rename));
            if (reader.Header.Kind is not null)
                throw new InvalidDataException(
                    $"The index names {SafetensorsEntry.Quote(name)}, which this library wrote with a definition of "
                    + "its own: load it by itself.");
            files.Add((name, stream, reader));
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Reads the tensors that are wanted, from the files that have any.</summary>
    public SafetensorsValues Read(Func<string, bool> isWanted)
    {
        if (single is not null)
            return single.Read(isWanted, toEnd: true);
        var values = new SafetensorsValues([]);
        foreach ((string name, _, SafetensorsReader reader) in files)
        {
            if (reader.Header.Tensors.Exists(tensor => isWanted(tensor.Name)))
                values.Add(OfFile(name, () => reader.Read(isWanted, toEnd: true)));
        }
        return values;
    }

    public void Dispose()
    {
        foreach ((_, FileStream stream, _) in files)
            stream.Dispose();
    }

    static T OfFile<T>(string name, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (InvalidDataException error)
        {
            throw new InvalidDataException($"{SafetensorsEntry.Quote(name)}: {error.Message}", error);
        }
    }
}
