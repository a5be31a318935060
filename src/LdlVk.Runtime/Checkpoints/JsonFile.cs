using System.Text.Json;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>Reads small JSON documents that may be damaged or hostile; whatever is wrong becomes a <see cref="CheckpointException"/>.</summary>
internal static class JsonFile
{
    /// <summary>Longest file read; the index of a thousand-layer model is a hundredth of it.</summary>
    private const long MaxBytes = 64 << 20;

    /// <summary>Reads a whole file that must hold one JSON object.</summary>
    public static T Read<T>(string path, Func<JsonElement, T> read)
    {
        using MappedFile file = MappedFile.Open(path);
        if (file.Length > MaxBytes)
            throw new CheckpointException($"{path} has {file.Length:N0} bytes; a file of its kind has a few thousand, and more than {MaxBytes:N0} are not read.");
        return Parse(path, file.Copy(0, (int)file.Length), read);
    }

    /// <summary>Parses UTF-8 that must be one JSON object without duplicate names, and hands it to <paramref name="read"/>.</summary>
    /// <param name="what">The file, or the part of it, for messages.</param>
    /// <param name="utf8">The text.</param>
    /// <param name="read">Takes what is needed; the element is dead afterwards.</param>
    public static T Parse<T>(string what, ReadOnlyMemory<byte> utf8, Func<JsonElement, T> read)
    {
        if (utf8.Span.StartsWith("\uFEFF"u8)) utf8 = utf8[3..];
        try
        {
            using JsonDocument document = JsonDocument.Parse(utf8, new JsonDocumentOptions { AllowDuplicateProperties = false });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new CheckpointException($"{what} holds {Kind(document.RootElement)} where an object {{…}} is expected.");
            return read(document.RootElement);
        }
        // JsonElement reports names and strings that are not valid Unicode as InvalidOperationException.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            string after = LastName(utf8.Span) is { } name ? $", at or after the field \"{name}\"" : "";
            throw new CheckpointException($"{what} is not valid JSON{after}: {e.Message}", e);
        }
    }

    /// <summary>How a message calls a JSON value: its kind, or the value itself where that is short.</summary>
    public static string Kind(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "the text " + Short(element.GetRawText()),
        _ => Short(element.GetRawText()),
    };

    /// <summary>Text from a file, cut and stripped of control characters so that it can stand in a message.</summary>
    public static string Short(string text)
    {
        ReadOnlySpan<char> head = text.AsSpan(0, Math.Min(text.Length, 100));
        string clean = string.Create(head.Length, text, static (to, from) =>
        {
            for (int i = 0; i < to.Length; i++) to[i] = char.IsControl(from[i]) ? '?' : from[i];
        });
        return text.Length > clean.Length ? clean + "…" : clean;
    }

    private static string? LastName(ReadOnlySpan<byte> utf8)
    {
        Utf8JsonReader reader = new(utf8);
        string? last = null;
        try
        {
            while (reader.Read())
                if (reader.TokenType == JsonTokenType.PropertyName) last = Short(reader.GetString()!);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The place where parsing stops is what is asked for.
        }
        return last;
    }
}
