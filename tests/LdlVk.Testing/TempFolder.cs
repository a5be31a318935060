using System.Text;
using Paths = System.IO.Path;

namespace LdlVk.Testing;

/// <summary>A folder for one test, deleted with everything in it when it is disposed.</summary>
public sealed class TempFolder : IDisposable
{
    /// <summary>The folder.</summary>
    public string Path { get; } = Directory.CreateTempSubdirectory("ldlvk-test-").FullName;

    /// <summary>Names of everything in it, hidden files too, sorted.</summary>
    public string[] Names => NamesIn(Path);

    /// <summary>The path of a file in it.</summary>
    public string this[string name] => Paths.Combine(Path, name);

    /// <summary>Names of everything in a folder, hidden files too, sorted.</summary>
    public static string[] NamesIn(string folder) =>
        [.. Directory.EnumerateFileSystemEntries(folder).Select(p => Paths.GetFileName(p)).Order(StringComparer.Ordinal)];

    /// <summary>Writes a file and returns its path.</summary>
    public string Write(string name, byte[] bytes)
    {
        File.WriteAllBytes(this[name], bytes);
        return this[name];
    }

    /// <summary>Writes a file and returns its path.</summary>
    public string Write(string name, string text) => Write(name, Encoding.UTF8.GetBytes(text));

    /// <summary>Copies a model's files into it.</summary>
    public TempFolder WithModel(string source)
    {
        foreach (string file in Directory.EnumerateFiles(source)) File.Copy(file, this[Paths.GetFileName(file)]);
        return this;
    }

    /// <summary>Copies a golden checkpoint into it, without its goldens.</summary>
    public TempFolder CopyGolden(string name) => CopyCheckpoint(Paths.Combine(Goldens.Folder, name));

    /// <summary>Copies a checkpoint of tests/data/families into it, without its goldens.</summary>
    public TempFolder CopyFamily(string name) => CopyCheckpoint(Paths.Combine(FamilyGoldens.Folder, name));

    private TempFolder CopyCheckpoint(string source)
    {
        foreach (string file in Directory.GetFiles(source))
        {
            string fileName = Paths.GetFileName(file);
            if (fileName is not ("goldens.json" or "trace.json" or "sensitivity.json")) File.Copy(file, this[fileName]);
        }

        return this;
    }

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(Path, recursive: true);
}
