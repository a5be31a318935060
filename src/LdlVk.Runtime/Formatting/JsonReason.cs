using System.Text.Json;

namespace LdlVk.Runtime.Formatting;

/// <summary>Words what is wrong with a JSON text. .NET's sentences speak of its reader, its depth and its options.</summary>
public static class JsonReason
{
    /// <summary>What .NET's sentences contain, and what is said instead.</summary>
    private static readonly (string Theirs, string Ours)[] Words =
    [
        ("Expected depth to be zero", "it ends before an object or a list is closed."),
        ("reached end of data", "it ends in the middle of a value."),
        ("does not contain any JSON tokens", "it holds no value."),
        ("larger than the configured max depth", "objects and lists lie more than {depth} deep in each other."),
        ("The maximum configured depth", "objects and lists lie more than {depth} deep in each other."),
        ("is invalid after a single JSON value", "something stands behind its end."),
        ("Change the reader options", "a comma stands before a closing bracket, or there is a comment."),
    ];

    /// <summary>Returns the reason as a sentence, without the position that .NET appends.</summary>
    public static string Of(JsonException error)
    {
        ArgumentNullException.ThrowIfNull(error);
        foreach ((string theirs, string ours) in Words)
            if (error.Message.Contains(theirs, StringComparison.Ordinal))
                return ours.Replace("{depth}", Depth(error.Message), StringComparison.Ordinal);
        return error.Message.Split(" LineNumber:")[0].Split(" Path:")[0];
    }

    /// <summary>The limit that a sentence of .NET states, such as "… depth of 16. …".</summary>
    private static string Depth(string message) => string.Concat(message.Split("depth of ")[^1].TakeWhile(char.IsAsciiDigit));
}
