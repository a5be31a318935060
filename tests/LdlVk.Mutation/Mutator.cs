using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LdlVk.Mutation;

/// <summary>Makes mutants: of the bytes of an input, or of the tree of its JSON. Equal seeds make equal mutants.</summary>
internal sealed class Mutator(Reader reader, int seed)
{
    private const int MaxBytes = 1 << 16;

    private static readonly string[] Tokens =
    [
        "null", "true", "false", "0", "-1", "1e999", "-0", "9223372036854775807", "9223372036854775808", "2147483647", "2147483648",
        "4294967296", "1.5", "\"\"", "\"\\ud800\"", "\"\\u0000\"", "[]", "{}", "[[[[[[[[", "{\"a\":", "\"", "\\", "é", "\\ud800", "\\udc00", ",",
        ":", "NaN", "Infinity", "1e-400", "00", "\uFEFF", "\t", "\n", "\r\n", ";",
    ];

    private static readonly string[] Texts =
    [
        "", "\0", "\U0001f600", "a\nb", "<bos>", "<start_of_turn>user\n", "user", "assistant", "system", "../x", "a/b", "CON", "x ", "F32",
        "BF16", "I8", "int4", "\u202e", "é", "\u001b[31m", "[{\"role\":\"user\",\"content\":\"a\"}]",
    ];

    private static readonly string[] Names =
    [
        "id", "messages", "prompt", "response", "responses", "input_ids", "role", "content", "chosen", "rejected", "subset", "dtype", "shape",
        "data_offsets", "__metadata__", "chat_template", "bos_token", "system", "text", "model", "vocab", "merges", "added_tokens", "type",
    ];

    private static readonly ulong[] Numbers =
    [
        0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
        0x8000000000000000, ulong.MaxValue, 16, 32, 64, 100, 1000, 1024, 4096, 65536, 1 << 20, 1 << 24, 1 << 30,
    ];

    private readonly Random _random = new(seed);

    /// <summary>Makes the next mutant.</summary>
    public byte[] Next()
    {
        // Bombs take longer, and are the last.
        int sound = reader.Seeds.Count - reader.Bombs;
        byte[] seed = reader.Seeds[reader.Bombs > 0 && _random.Next(20) == 0 ? sound + _random.Next(reader.Bombs) : _random.Next(sound)];
        return (reader.IsJson && _random.Next(2) == 0 ? Tree(seed) : null) ?? Bytes(seed);
    }

    private byte[] Bytes(byte[] seed)
    {
        List<byte> bytes = [.. seed];
        for (int i = 1 << _random.Next(5); i > 0; i--)
        {
            if (bytes.Count == 0) bytes.Add(0);
            Change(bytes, Place(bytes.Count));
        }

        return [.. bytes];
    }

    private void Change(List<byte> bytes, int at)
    {
        int length = bytes.Count;
        switch (_random.Next(reader.IsJson ? 16 : 12))
        {
            case 0: bytes[at] ^= (byte)(1 << _random.Next(8)); break;
            case 1: bytes[at] = (byte)_random.Next(256); break;
            case 2: bytes[at] += (byte)_random.Next(-35, 36); break;
            case 3: WriteNumber(bytes, at, _ => Numbers[_random.Next(Numbers.Length)]); break;
            case 4: WriteNumber(bytes, at, old => old + (ulong)(long)_random.Next(-64, 65)); break;
            case 5: bytes.RemoveRange(at, Math.Min(length - at, 1 + _random.Next(_random.Next(2) == 0 ? 4 : 64))); break;
            case 6 when length < MaxBytes:
                bytes.InsertRange(Place(length), bytes.GetRange(at, Math.Min(length - at, 1 + _random.Next(_random.Next(2) == 0 ? 8 : 128))));
                break;
            case 7 when length < MaxBytes:
                bytes.InsertRange(at, Enumerable.Repeat((byte)_random.Next(256), 1 + _random.Next(_random.Next(4) == 0 ? 300 : 4)));
                break;
            case 8 when length < MaxBytes && reader.Words.Count > 0:
                bytes.InsertRange(at, reader.Words[_random.Next(reader.Words.Count)]);
                break;
            case 9 when length < MaxBytes:
                byte[] other = reader.Seeds[_random.Next(reader.Seeds.Count)];
                if (other.Length > 0) bytes.InsertRange(at, other.Skip(_random.Next(other.Length)).Take(1 + _random.Next(256)));
                break;
            case 10 when _random.Next(8) == 0: bytes.RemoveRange(at, length - at); break;
            case 11: bytes[at] = (byte)(_random.Next(2) == 0 ? 0 : 255); break;
            case > 11 when length < MaxBytes: bytes.InsertRange(at, Encoding.UTF8.GetBytes(Tokens[_random.Next(Tokens.Length)])); break;
        }
    }

    private void WriteNumber(List<byte> bytes, int at, Func<ulong, ulong> change)
    {
        int width = 1 << _random.Next(4);
        if (at + width > bytes.Count) return;
        ulong value = 0;
        for (int i = 0; i < width; i++) value |= (ulong)bytes[at + i] << (8 * i);
        value = change(value);
        for (int i = 0; i < width; i++) bytes[at + i] = (byte)(value >> (8 * i));
    }

    /// <summary>Favors the beginning and the end, where formats describe themselves.</summary>
    private int Place(int length) => _random.Next(4) == 0 ? _random.Next(Math.Min(length, 64))
        : _random.Next(3) == 0 ? length - 1 - _random.Next(Math.Min(length, 256))
        : _random.Next(length);

    private byte[]? Tree(byte[] seed)
    {
        JsonNode? root;
        try
        {
            root = JsonNode.Parse(seed);
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            return null;
        }

        for (int i = 1 + _random.Next(3); i > 0; i--)
        {
            List<JsonNode> all = [];
            Collect(root, all);
            if (all.Count == 0) break;
            Change(all[_random.Next(all.Count)], all, ref root);
        }

        string text = root?.ToJsonString() ?? "null";
        if (_random.Next(10) == 0) text = text.Replace("x", "\\ud800", StringComparison.Ordinal);
        return text.Length > 1 << 18 ? null : Encoding.UTF8.GetBytes(text);
    }

    private static void Collect(JsonNode? node, List<JsonNode> all)
    {
        if (node is null || all.Count > 20_000) return;
        all.Add(node);
        if (node is JsonObject fields) foreach (var (_, value) in fields) Collect(value, all);
        else if (node is JsonArray items) foreach (JsonNode? value in items) Collect(value, all);
    }

    private void Change(JsonNode node, List<JsonNode> all, ref JsonNode? root)
    {
        if (node is JsonObject fields && _random.Next(2) == 0)
        {
            string[] names = [.. fields.Select(field => field.Key)];
            string name = names.Length > 0 && _random.Next(2) == 0 ? names[_random.Next(names.Length)] : Names[_random.Next(Names.Length)];
            if (_random.Next(4) == 0) fields.Remove(name);
            else fields[name] = Value(all);
        }
        else if (node is JsonArray items && _random.Next(2) == 0)
        {
            if (items.Count > 0 && _random.Next(3) == 0) items.RemoveAt(_random.Next(items.Count));
            else if (_random.Next(40) == 0) for (int i = 0; i < 1200; i++) items.Add(i);
            else for (int i = 1 + _random.Next(3); i > 0; i--) items.Add(Value(all));
        }
        else if (node.Parent is JsonObject parent)
        {
            parent[node.GetPropertyName()] = Value(all);
        }
        else if (node.Parent is JsonArray list)
        {
            list[node.GetElementIndex()] = Value(all);
        }
        else
        {
            root = Value(all);
        }
    }

    private JsonNode? Value(List<JsonNode> all) => _random.Next(9) switch
    {
        0 => null,
        1 => _random.Next(2) == 0,
        2 => _random.Next(-3, 300),
        3 => (long)Numbers[_random.Next(Numbers.Length)],
        4 => _random.NextDouble() * Math.Pow(10, _random.Next(-300, 300)),
        5 or 6 => Texts[_random.Next(Texts.Length)],
        7 => _random.Next(2) == 0 ? new JsonArray() : new JsonObject(),
        _ => all[_random.Next(all.Count)] is var node && all.Count < 2000 ? node.DeepClone() : null,
    };
}
