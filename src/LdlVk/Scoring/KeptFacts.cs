using System.Security;
using System.Text;

namespace LdlVk.Scoring;

/// <summary>
/// What was found out about devices and drivers, a line each, in a file of the user's cache folder. The file is a shortcut: a missing,
/// damaged or unwritable one costs time at most.
/// </summary>
/// <param name="path">The file; null to keep nothing.</param>
internal sealed class KeptFacts(string? path)
{
    /// <summary>Some hundred bytes a line: more than all devices and drivers that a machine ever has.</summary>
    private const int MaxBytes = 1 << 20, MaxLines = 1000;

    /// <summary>The path of a file in the user's cache folder; null where there is none.</summary>
    public static string? PathOf(string name)
    {
        string folder = Environment.GetFolderPath(
            Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        return folder.Length == 0 ? null : Path.Combine(folder, "ldlvk", name);
    }

    /// <summary>The key of a fact about a device with its kernels and the version of its driver.</summary>
    public static string Key(DeviceInfo device, string what) =>
        string.Join('/', new[] { device.Name, device.Driver, device.Kernels, what }.Select(Line));

    /// <summary>The fact of a key; null where none is kept.</summary>
    public string? Find(string key) => Read().GetValueOrDefault(key);

    /// <summary>
    /// Keeps a fact, which is one line. Writes a file of its own and moves it to its place: readers see the old one or the new one.
    /// </summary>
    public void Keep(string key, string fact)
    {
        if (path is null) return;
        string temporary = $"{path}.{Guid.NewGuid():N}";
        try
        {
            IEnumerable<string> others = Read().Where(f => f.Key != key).Take(MaxLines - 1).Select(f => $"{f.Key}\t{f.Value}\n");
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            string line = $"{key}\t{fact.ReplaceLineEndings(" ")}\n";
            File.WriteAllText(temporary, string.Concat(others.Prepend(line)), new UTF8Encoding(false));
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (IsTrouble(e))
        {
            // It is found out again the next time.
            try { File.Delete(temporary); } catch (Exception d) when (IsTrouble(d)) { }
        }
    }

    private static string Line(string text) => text.ReplaceLineEndings(" ").Replace('\t', ' ');

    /// <summary>What the file says, line by line; what cannot be read counts as not there.</summary>
    private Dictionary<string, string> Read()
    {
        Dictionary<string, string> facts = [];
        try
        {
            // What is no file, as a pipe, has no length, and opening it might wait for ever.
            if (path is null || !File.Exists(path) || new FileInfo(path).Length is 0 or > MaxBytes) return facts;
            foreach (string line in File.ReadLines(path))
                if (line.IndexOf('\t', StringComparison.Ordinal) is > 0 and int tab) facts[line[..tab]] = line[(tab + 1)..];
        }
        catch (Exception e) when (IsTrouble(e))
        {
            // It is found out again.
        }

        return facts;
    }

    private static bool IsTrouble(Exception e) =>
        e is IOException or UnauthorizedAccessException or SecurityException or ArgumentException or NotSupportedException;
}
