namespace LdlVk.Testing;

/// <summary>Compares folders.</summary>
public static class Folders
{
    /// <summary>Describes the first difference of two folders' files; null if there is none. Hidden files of <paramref name="got"/> do not count.</summary>
    /// <param name="want">The folder as it should be.</param>
    /// <param name="got">The folder as it is.</param>
    /// <param name="without">Files of <paramref name="want"/> that do not count.</param>
    public static string? Difference(string want, string got, params string[] without)
    {
        string[] names = [.. TempFolder.NamesIn(want).Except(without)], found = [.. TempFolder.NamesIn(got).Where(name => name[0] != '.')];
        if (!names.SequenceEqual(found)) return $"{string.Join(' ', names)} is wanted, and {string.Join(' ', found)} is there";
        return names.FirstOrDefault(name => !File.ReadAllBytes(Path.Combine(want, name)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(got, name))));
    }
}
