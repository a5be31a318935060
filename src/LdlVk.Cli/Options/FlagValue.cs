namespace LdlVk.Cli.Options;

/// <summary>Reads values of flags with parsers of libraries.</summary>
internal static class FlagValue
{
    /// <summary>Reads a value; the message of an error gets the flag's name as a prefix.</summary>
    /// <param name="flag">The flag, such as <c>--shape</c>.</param>
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
