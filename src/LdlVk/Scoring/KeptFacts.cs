using System.Text;
using LdlVk.Runtime.Devices;

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
    public static string? PathOf(string name) => CacheFile.DefaultFolder is { } folder ? Path.Combine(folder, name) : null;

    /// <summary>The key of a fact about a device with its kernels and the version of its driver.</summary>
    public static string Key(DeviceInfo device, string what) =>
        string.Join('/', new[] { device.Name, device.Driver, device.Kernels, what }.Select(Line));

    /// <summary>The fact of a key; null where none is kept.</summary>
    public string? Find(string key) => Read().GetValueOrDefault(key);

    /// <summary>Keeps a fact, which is one line.</summary>
    public void Keep(string key, string fact)
    {
        if (path is null) return;
        IEnumerable<string> others = Read().Where(f => f.Key != key).Take(MaxLines - 1).Select(f => $"{f.Key}\t{f.Value}\n");
        string line = $"{key}\t{fact.ReplaceLineEndings(" ")}\n";
        // What cannot be kept is found out again the next time.
        CacheFile.Replace(path, Encoding.UTF8.GetBytes(string.Concat(others.Prepend(line))));
    }

    private static string Line(string text) => text.ReplaceLineEndings(" ").Replace('\t', ' ');

    /// <summary>What the file says, line by line; what cannot be read counts as not there.</summary>
    private Dictionary<string, string> Read()
    {
        Dictionary<string, string> facts = [];
        if (path is null) return facts;
        foreach (string line in Encoding.UTF8.GetString(CacheFile.Read(path, 1, MaxBytes)).ReplaceLineEndings("\n").Split('\n'))
            if (line.IndexOf('\t', StringComparison.Ordinal) is > 0 and int tab) facts[line[..tab]] = line[(tab + 1)..];
        return facts;
    }
}
