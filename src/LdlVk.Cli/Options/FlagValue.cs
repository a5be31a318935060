namespace LdlVk.Cli.Options;

/// <summary>Values of flags that a library reads.</summary>
internal static class FlagValue
{
    /// <summary>Reads a value; an error's message gets the flag's name in front of it.</summary>
    /// <param name="flag">The flag, as <c>--shape</c>.</param>
    /// <param name="text">Its value.</param>
    /// <param name="read">Reads the value; the message of an error begins with the value.</param>
    public static T Read<T>(string flag, string text, Func<string, T> read)
    {
        try
        {
            return read(text);
        }
        catch (UsageException e)
        {
            throw new UsageException($"{flag} {e.Notice}", e);
        }
    }
}
