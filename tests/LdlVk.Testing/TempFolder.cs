namespace LdlVk.Testing;

/// <summary>A folder for one test.</summary>
public sealed class TempFolder : IDisposable
{
    public TempFolder() => Directory.CreateDirectory(Root);

    public string Root { get; } = Path.Combine(Path.GetTempPath(), $"ldlvk-cli-{Guid.NewGuid():N}");

    /// <summary>Names of everything in it, hidden files too.</summary>
    public string[] Names => [.. Directory.EnumerateFileSystemEntries(Root).Select(p => Path.GetFileName(p)).Order(StringComparer.Ordinal)];

    public string this[string name] => Path.Combine(Root, name);

    /// <summary>Writes a file and returns its path.</summary>
    public string Write(string name, string text)
    {
        File.WriteAllText(this[name], text);
        return this[name];
    }

    /// <summary>Copies a model's files into it.</summary>
    public TempFolder WithModel(string source)
    {
        foreach (string file in Directory.EnumerateFiles(source)) File.Copy(file, this[Path.GetFileName(file)]);
        return this;
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
