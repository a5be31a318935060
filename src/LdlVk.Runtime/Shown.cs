using System.Globalization;
using System.Text.Encodings.Web;

namespace LdlVk.Runtime;

/// <summary>
/// Text of somebody else's (a name in a file, a role in a conversation) in an error message: harmless to a terminal, and not longer than a
/// line.
/// </summary>
internal static class Shown
{
    private const int MaxLength = 100;

    /// <summary>The text, cut, with '?' for control characters.</summary>
    public static string Short(string text)
    {
        int length = Math.Min(text.Length, MaxLength);
        if (length < text.Length && char.IsHighSurrogate(text[length - 1])) length--;
        string clean = string.Create(length, text, static (to, from) =>
        {
            for (int i = 0; i < to.Length; i++) to[i] = char.IsControl(from[i]) ? '?' : from[i];
        });
        return length < text.Length ? clean + "…" : clean;
    }

    /// <summary>A number as everybody writes it.</summary>
    public static string Number(float value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>
    /// The text in quotation marks and escaped as JSON would be, cut; for what may be empty or have white space that matters.
    /// </summary>
    public static string Quoted(string text) => Short($"\"{JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(text)}\"");
}
