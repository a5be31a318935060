using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using LdlVk.Runtime.Files;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Runtime.Json;

/// <summary>
/// Reads the JSON files of a checkpoint, which may be damaged or hostile. Every error is a <see cref="CheckpointException"/> that names the
/// file and the field.
/// </summary>
internal static class JsonFile
{
    /// <summary>Default limit of a file's size in bytes; the index of a model with a thousand layers needs a hundredth of it.</summary>
    private const long MaxBytes = 64L << 20;

    /// <summary>Passes the root of a file to <paramref name="read"/>. The fields are invalid after it returns.</summary>
    public static T Read<T>(string path, Func<JsonField, T> read, long maxBytes = MaxBytes) => Parse(path, ReadBytes(path, maxBytes), read);

    /// <summary>Parses UTF-8 text and passes its root to <paramref name="read"/>.</summary>
    /// <param name="what">The file, or the part of it, for messages.</param>
    /// <param name="utf8">The JSON.</param>
    /// <param name="read">Reads the fields; they are invalid after it returns.</param>
    public static T Parse<T>(string what, byte[] utf8, Func<JsonField, T> read)
    {
        ReadOnlyMemory<byte> text = CheckUtf8(what, utf8);
        if (text.IsEmpty) throw new CheckpointException($"{what} is empty where a JSON object {{…}} is expected. Download it again.");
        try
        {
            // Of duplicate names, some programs read the first and others the last.
            using JsonDocument document = JsonDocument.Parse(text, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return read(new JsonField(what, "", document.RootElement));
        }
        // An escaped lone surrogate causes an InvalidOperationException, and only when the string is read.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            string after = LastName(text.Span) is { } name ? $", at or after the field {Shown.Quoted(name)}" : "";
            string why = e is JsonException json ? JsonReason.Of(json) : $"a string is not Unicode. {e.Message}";
            throw new CheckpointException($"{what} is not valid JSON{after}: {why} Download it again.", e);
        }
    }

    /// <summary>Reads a whole text file that is not JSON.</summary>
    public static string ReadText(string path, long maxBytes = MaxBytes) =>
        Encoding.UTF8.GetString(CheckUtf8(path, ReadBytes(path, maxBytes)).Span);

    private static byte[] ReadBytes(string path, long maxBytes)
    {
        if (!File.Exists(path))
            throw new CheckpointException($"{path} does not exist. A checkpoint's folder holds it beside the weights; copy it there.");
        WrongContent.RequireOrdinary(path);
        try
        {
            using FileStream file = File.OpenRead(path);
            if (file.Length > maxBytes)
                throw new CheckpointException(
                    $"{path} has {file.Length:N0} bytes, more than the {maxBytes:N0} that are read. Is it the right file?");
            byte[] bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            WrongContent.Check(path, bytes);
            return bytes;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new CheckpointException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Checks that a text is UTF-8 and removes its byte order mark.</summary>
    private static ReadOnlyMemory<byte> CheckUtf8(string what, byte[] text)
    {
        if (!Utf8.IsValid(text)) throw new CheckpointException($"{what} is not UTF-8 text. Download it again.");
        return text.AsMemory(text.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0);
    }

    /// <summary>Returns the last field name before a syntax error; null if there is no error, or no name before it.</summary>
    private static string? LastName(ReadOnlySpan<byte> utf8)
    {
        Utf8JsonReader reader = new(utf8);
        string? last = null;
        try
        {
            while (reader.Read())
            {
                string? text = reader.TokenType is JsonTokenType.PropertyName or JsonTokenType.String ? reader.GetString() : null;
                if (reader.TokenType == JsonTokenType.PropertyName) last = text;
            }
            return null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return last;
        }
    }
}
