using System.Diagnostics;
using System.Globalization;

namespace LdlVk.Scoring;

/// <summary>
/// What is kept while a self-test runs, so that the next start knows of one that never ended: a driver may end the process. It names the
/// process, for another one may be at the same test.
/// </summary>
internal static class TestMark
{
    private const string Begin = "testing ";

    /// <summary>The mark of this process.</summary>
    public static string Own
    {
        get
        {
            using Process self = Process.GetCurrentProcess();
            return string.Create(CultureInfo.InvariantCulture, $"{Begin}{self.Id} {self.StartTime.Ticks}");
        }
    }

    /// <summary>Whether a kept line is a mark.</summary>
    public static bool Is(string? kept) => kept?.StartsWith(Begin, StringComparison.Ordinal) == true;

    /// <summary>Whether the process of a mark is gone; one that cannot be asked about counts as there.</summary>
    public static bool IsOfDead(string mark)
    {
        string[] parts = mark[Begin.Length..].Split(' ');
        if (parts is not [var id, var start]) return true;
        if (!int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out int process)) return true;
        try
        {
            using Process there = Process.GetProcessById(process);
            // Numbers are used again. The start of a process is read from a clock that may be corrected by some milliseconds.
            return !long.TryParse(start, NumberStyles.None, CultureInfo.InvariantCulture, out long ticks)
                || Math.Abs(there.StartTime.Ticks - ticks) > TimeSpan.TicksPerSecond * 2;
        }
        catch (ArgumentException)
        {
            return true;
        }
        catch (Exception e) when (e is InvalidOperationException or NotSupportedException or System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
