using LdlVk.Runtime.Files;

namespace LdlVk.Datasets.Files;

/// <summary>
/// Checks the files of a command before it begins: no output may be one of its inputs, a file of its model, or another of its outputs,
/// under any name. Devices and named pipes are not files and never conflict.
/// </summary>
public sealed class OutputPaths
{
    /// <summary>Extensions of results, which may be replaced in the folder of a model too.</summary>
    private static readonly string[] ResultExtensions = [".jsonl", ".html", ".csv", ".tsv", ".parquet"];

    private readonly List<Place> _inputs = [], _outputs = [];
    private readonly List<(string Name, string Path)> _folders = [];

    /// <summary>Adds a file that is read, or a folder whose files are read.</summary>
    /// <param name="name">The user's name of it, such as an option.</param>
    /// <param name="path">Its path.</param>
    public void AddInput(string name, string path)
    {
        _inputs.Add(Place.Of($"{name} {path}", path));
        if (!Directory.Exists(path)) return;
        foreach (string file in Directory.EnumerateFiles(path)) _inputs.Add(Place.Of($"{name} {file}", file));
    }

    /// <summary>Adds an open file that is read, such as standard input.</summary>
    public void AddInput(string name, FileIdentity file) => _inputs.Add(new Place(name, name, file, ""));

    /// <summary>Adds the folder of a model.</summary>
    public void AddModel(string name, string path) => _folders.Add((name, path));

    /// <summary>Adds a file that is written.</summary>
    /// <param name="name">The user's name of it.</param>
    /// <param name="path">Its path.</param>
    /// <param name="others">Other files that are written together with it.</param>
    public void AddOutput(string name, string path, IEnumerable<string> others)
    {
        ArgumentNullException.ThrowIfNull(others);
        _outputs.Add(Place.Of($"{name} {path}", path));
        foreach (string other in others) _outputs.Add(Place.Of($"{name} {path}", other));
    }

    /// <summary>Adds an open file that is written, such as standard output.</summary>
    public void AddOutput(string name, FileIdentity file) => _outputs.Add(new Place(name, name, file, ""));

    /// <summary>Checks all files.</summary>
    /// <exception cref="UsageException">An output is an input, or two outputs are one file.</exception>
    public void Check()
    {
        for (int i = 0; i < _outputs.Count; i++)
        {
            Place output = _outputs[i];
            foreach (Place input in _inputs)
                if (output.IsSame(input))
                    throw new UsageException(
                        $"{output} would overwrite {input.Name}: they are the same file. Inputs are never changed; write to another file.");
            for (int j = 0; j < i; j++)
                if (output.IsSame(_outputs[j]))
                    throw new UsageException($"{_outputs[j]} and {output} are the same file. Write each to a file of its own.");
        }

        CheckModels();
    }

    private void CheckModels()
    {
        Place[] existing = [.. _outputs.Where(output => output.File?.Kind == FileKind.File)];
        if (existing.Length == 0) return;
        EnumerationOptions all = new()
        {
            AttributesToSkip = 0, IgnoreInaccessible = true, RecurseSubdirectories = true, MaxRecursionDepth = 2,
        };
        foreach ((string name, string folder) in _folders)
        {
            if (!Directory.Exists(folder)) continue;
            foreach (string path in Directory.EnumerateFiles(folder, "*", all))
            {
                if (ResultExtensions.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase)) continue;
                FileIdentity? file = FileIdentity.Of(path);
                foreach (Place output in existing)
                    if (file is not null && file == output.File)
                        throw new UsageException(
                            $"{output} would overwrite {Path.GetRelativePath(folder, path)} of {name} {folder}. "
                            + "Inputs are never changed; write to another file.");
            }
        }
    }

    /// <summary>Where a file is or will be.</summary>
    /// <param name="Name">The user's name of it.</param>
    /// <param name="Path">The path that is written or read.</param>
    /// <param name="File">The identity of the file; of its folder if the file does not exist; null if neither exists.</param>
    /// <param name="NewName">The name in that folder if the file does not exist; otherwise empty.</param>
    private sealed record Place(string Name, string Path, FileIdentity? File, string NewName)
    {
        public static Place Of(string name, string path)
        {
            // The system resolves names such as /proc/self/fd/3, which cannot be resolved as texts.
            if (path.Length > 0 && FileIdentity.Of(System.IO.Path.TrimEndingDirectorySeparator(path)) is { } file)
                return new Place(name, path, file, "");
            string resolved = OutputPath.Resolve(path);
            return new Place(
                name, path, FileIdentity.Of(System.IO.Path.GetDirectoryName(resolved) ?? resolved), System.IO.Path.GetFileName(resolved));
        }

        public bool IsSame(Place other) =>
            File is { Kind: not FileKind.Device } file
            && file == other.File
            && string.Equals(
                NewName, other.NewName, OperatingSystem.IsWindows() ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal);

        public override string ToString() => Name.EndsWith(Path, StringComparison.Ordinal) ? Name : $"{Path} of {Name}";
    }
}
