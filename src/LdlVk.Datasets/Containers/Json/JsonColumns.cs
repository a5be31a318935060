using System.Text.Json;
using LdlVk.Datasets.Items;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Containers.Json;

/// <summary>
/// A data set as one object of lists of equal length, <c>{"prompt": […], "response": […]}</c>, as <c>Dataset.to_dict()</c> and pandas
/// with <c>orient="list"</c> give it. The object is held in memory, because an item is spread over all of it.
/// </summary>
internal sealed class JsonColumns
{
    /// <summary>Maximum size of a file, and of what is decompressed or comes from a pipe, whose size is not known beforehand.</summary>
    private const int MaxBytes = 1 << 30, MaxUnknownBytes = 64 << 20;

    private readonly List<(byte[] Name, int At)> _columns = [];
    private readonly InputBuffer _input;

    private JsonColumns(InputBuffer input) => _input = input;

    /// <summary>Number of items.</summary>
    public long Count { get; private set; }

    /// <summary>What the beginning of an object is.</summary>
    public enum Verdict
    {
        /// <summary>An item, or nothing that is known.</summary>
        Item,

        /// <summary>Lists of items' parts.</summary>
        Columns,

        /// <summary>Lists that can be either.</summary>
        Either,
    }

    /// <summary>
    /// Recognizes an object of lists by a field that in an item is a text, and here a list of texts. Such an object is no valid item.
    /// </summary>
    /// <param name="start">The beginning of the object.</param>
    /// <param name="names">The fields of an item's parts.</param>
    public static Verdict Find(ReadOnlySpan<byte> start, ItemFields names)
    {
        int at = JsonScan.SkipWhite(start, 0) + 1, lists = 0, pairs = 0;
        while (Field(start, ref at) is { } name)
        {
            if (at >= start.Length) return Verdict.Item;
            if (start[at] == '[')
            {
                lists++;
                int inside = JsonScan.SkipWhite(start, at + 1);
                byte first = inside < start.Length ? start[inside] : (byte)0;
                if (IsColumn(name, names.PartOf(name), first)) return Verdict.Columns;
                if (names.PartOf(name) is ItemPart.Chosen or ItemPart.Rejected && first == '[') pairs++;
            }
            else if (start[at] != 'n' && names.PartOf(name) is not null)
            {
                return Verdict.Item;
            }

            at = JsonScan.EndOfValue(start, at);
            if (at < 0) return Verdict.Item;
            at = JsonScan.SkipWhite(start, at);
            if (at >= start.Length || start[at] != ',') return pairs == 2 ? Verdict.Either : Verdict.Item;
            at++;
        }

        return Verdict.Item;
    }

    /// <summary>Reads the whole object.</summary>
    /// <param name="input">The input, at the object's beginning.</param>
    /// <param name="names">The fields of an item's parts.</param>
    /// <param name="isSizeKnown">Whether the input is a file that is not compressed.</param>
    /// <exception cref="UsageException">It is not an object of lists of equal length.</exception>
    public static JsonColumns Read(InputBuffer input, ItemFields names, bool isSizeKnown)
    {
        int max = isSizeKnown ? MaxBytes : MaxUnknownBytes;
        do
        {
            if (input.Length > max)
                throw new UsageException(
                    $"The input is one JSON object of lists, of which at most {Readable.Bytes(max)} are read"
                    + $"{(isSizeKnown ? "" : " from a pipe or decompressed")}. Write an object for each item, on a line of its own.");
        }
        while (input.Fill());
        JsonColumns columns = new(input);
        columns.FindColumns(names);
        return columns;
    }

    /// <summary>Returns the items. A line's bytes are overwritten by the next one's.</summary>
    public IEnumerable<RawLine> Lines()
    {
        JsonText json = new();
        ExpansionLimit limit = new(() => _input.Length);
        int[] at = [.. _columns.Select(column => column.At)];
        for (long number = 0; number < Count; number++)
        {
            _input.CancellationToken.ThrowIfCancellationRequested();
            json.Clear();
            for (int i = 0; i < at.Length; i++)
            {
                json.Raw(i == 0 ? "{"u8 : ","u8);
                json.Raw(_columns[i].Name);
                json.Raw(":"u8);
                ReadOnlySpan<byte> held = _input.Held;
                int start = JsonScan.SkipWhite(held, at[i]), end = JsonScan.EndOfValue(held, start);
                json.Raw(held[start..end]);
                at[i] = JsonScan.SkipWhite(held, end) + 1;
            }

            json.Raw("}"u8);
            Add(limit, json.Length);
            yield return json.IsTooLong ? RawLine.OfTooLong(number) : new RawLine(number, json.Bytes);
        }

        _input.Skip(_input.Length);
    }

    /// <summary>Whether a list of which the first character is given cannot be the value of a field of an item.</summary>
    private static bool IsColumn(string name, ItemPart? part, byte first) => part switch
    {
        ItemPart.Messages or ItemPart.InputIds => first == '[',
        ItemPart.Prompt or ItemPart.Response or ItemPart.First or ItemPart.Second => first is (byte)'"' or (byte)'[',
        ItemPart.Input or ItemPart.System or ItemPart.Text or ItemPart.Label => first == '"',
        null => name is "id" or "subset" && first is (byte)'"' or (>= (byte)'0' and <= (byte)'9'),
        _ => false,
    };

    /// <summary>Reads a field's name and moves to its value; null if there is none.</summary>
    private static string? Field(ReadOnlySpan<byte> json, ref int at)
    {
        at = JsonScan.SkipWhite(json, at);
        if (at >= json.Length || json[at] != '"') return null;
        int end = JsonScan.EndOfString(json, at);
        if (end < 0) return null;
        string? name = Name(json[at..end]);
        at = JsonScan.SkipWhite(json, end);
        if (name is null || at >= json.Length || json[at] != ':') return null;
        at = JsonScan.SkipWhite(json, at + 1);
        return name;
    }

    private static string? Name(ReadOnlySpan<byte> quoted)
    {
        Utf8JsonReader reader = new(quoted);
        try
        {
            return reader.Read() ? reader.GetString() : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>Finds the lists, and checks that each has as many values as the others.</summary>
    private void FindColumns(ItemFields names)
    {
        ReadOnlySpan<byte> json = _input.Held;
        int at = JsonScan.SkipWhite(json, 0) + 1;
        string? first = null;
        while (true)
        {
            string name = Field(json, ref at) ?? throw Broken();
            if (at < json.Length && json[at] == '[')
            {
                _input.CancellationToken.ThrowIfCancellationRequested();
                int start = at + 1;
                long count = CountOf(json, ref at);
                if (first is not null && count != Count)
                    throw new UsageException(
                        $"The input is a JSON object of lists, and {Readable.Quoted(first)} has {Readable.Plural(Count, "value")}, but "
                        + $"{Readable.Quoted(name)} has {Readable.Count(count)}. All must have as many.");
                (first, Count) = (first ?? name, count);
                _columns.Add((JsonText.Quoted(name), start));
            }
            else
            {
                int value = at;
                at = JsonScan.EndOfValue(json, at);
                if (at < 0) throw Broken();
                if (names.PartOf(name) is not null && !json[value..at].SequenceEqual("null"u8))
                    throw new UsageException(
                        $"The input is a JSON object of lists, but {Readable.Quoted(name)} is none. "
                        + "Give a list with a value for each item.");
            }

            at = JsonScan.SkipWhite(json, at);
            if (at >= json.Length) throw Broken();
            if (json[at] == '}') break;
            if (json[at] != ',') throw Broken();
            at++;
        }

        if (JsonScan.SkipWhite(json, at + 1) < json.Length)
            throw new UsageException(
                "The input begins with a JSON object of lists, and something follows it. Give one such object, or an item on each line.");
    }

    /// <summary>Counts the values of a list, and moves behind it.</summary>
    private static long CountOf(ReadOnlySpan<byte> json, ref int at)
    {
        at = JsonScan.SkipWhite(json, at + 1);
        if (at < json.Length && json[at] == ']')
        {
            at++;
            return 0;
        }

        for (long count = 1; ; count++)
        {
            int end = JsonScan.EndOfValue(json, JsonScan.SkipWhite(json, at));
            if (end < 0) throw Broken();
            at = JsonScan.SkipWhite(json, end);
            if (at >= json.Length || json[at] is not ((byte)',' or (byte)']')) throw Broken();
            if (json[at++] == ']') return count;
        }
    }

    private static void Add(ExpansionLimit limit, int bytes)
    {
        try
        {
            limit.Add(bytes);
        }
        catch (InvalidDataException e)
        {
            throw new UsageException($"The input is a JSON object of lists that is not read: {e.Message}", e);
        }
    }

    private static UsageException Broken() =>
        new("The input is a JSON object of lists that is broken, or does not end: a part of the file may be missing.");
}
