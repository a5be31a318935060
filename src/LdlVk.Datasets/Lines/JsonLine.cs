using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Lines;

/// <summary>Parses JSON lines.</summary>
public static class JsonLine
{
    /// <summary>Reads the fields of a line; every error is an <see cref="InputException"/>.</summary>
    public static JsonFields Fields { get; } = new("the line", sentence => new InputException(sentence),
        (name, count, max) => new InputException(
            $"{name} has {count} items; at most {max} are allowed per line. Split it over several lines."));

    /// <summary>Parses a line and passes it to <paramref name="read"/>, or an error to <paramref name="fail"/>.</summary>
    /// <param name="line">The line.</param>
    /// <param name="read">Receives the object and its id as JSON; a missing id is the line's index.</param>
    /// <param name="fail">Receives the id and the error.</param>
    public static T Read<T>(RawLine line, Func<JsonElement, string, T> read, Func<string, string, T> fail)
    {
        ArgumentNullException.ThrowIfNull(read);
        ArgumentNullException.ThrowIfNull(fail);
        string id = line.Number.ToString(CultureInfo.InvariantCulture);
        // Without exceptions, since a file may have millions of them.
        if (line.Error is { } error) return fail(id, error);
        if (line.IsBlank) return fail(id, "the line is blank. Only the last line of a file may be blank.");
        try
        {
            if (!Utf8.IsValid(line.Bytes.Span)) throw new InputException("the line is not valid UTF-8. Save the file as UTF-8.");
            using JsonDocument json = Parse(line.Bytes);
            JsonElement root = json.RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw Fields.Wrong(root, Fields.Subject, "an object {…}");
            id = Fields.Id(root) ?? id;
            return read(root, id);
        }
        catch (InputException e)
        {
            return fail(id, e.Message);
        }
        catch (JsonException e)
        {
            // Of a name that stands twice, .NET gives no position.
            string at = e.BytePositionInLine is { } position ? $" at byte {position}" : "";
            return fail(id, $"the line is not valid JSON{at}: {Sentence(e)}");
        }
        catch (InvalidOperationException)
        {
            // System.Text.Json reports an escaped lone surrogate with this exception.
            return fail(id, "the line holds a string that is not valid Unicode: half of a surrogate pair.");
        }
    }

    private static JsonDocument Parse(ReadOnlyMemory<byte> line)
    {
        JsonDocumentOptions options = new() { AllowDuplicateProperties = false };
        try
        {
            return JsonDocument.Parse(line, options);
        }
        catch (JsonException)
        {
            if (PythonJson.WithNulls(line.Span) is not { } repaired) throw;
            return JsonDocument.Parse(repaired, options);
        }
    }

    /// <summary>Removes all but the beginning of what the reason quotes of the line.</summary>
    private static string Sentence(JsonException error) => Readable.OneLine(JsonReason.Of(error), 200);
}
