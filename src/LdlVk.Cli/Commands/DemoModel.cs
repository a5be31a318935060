using System.Reflection;

namespace LdlVk.Cli.Commands;

/// <summary>The included model as a temporary folder, because models are files. Disposing deletes the folder.</summary>
internal sealed class DemoModel : IDisposable
{
    private const string Prefix = "ldl-mini/";

    private readonly DirectoryInfo _temporary = Directory.CreateTempSubdirectory("ldlvk-demo-");

    public DemoModel()
    {
        Folder = Directory.CreateDirectory(Path.Combine(_temporary.FullName, Prefix)).FullName;
        Assembly assembly = typeof(DemoModel).Assembly;
        foreach (string name in assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)))
        {
            using Stream resource = assembly.GetManifestResourceStream(name)!;
            using FileStream file = File.Create(Path.Combine(_temporary.FullName, name));
            resource.CopyTo(file);
        }
    }

    /// <summary>The path of the folder.</summary>
    public string Folder { get; }

    /// <inheritdoc/>
    public void Dispose() => _temporary.Delete(recursive: true);
}
