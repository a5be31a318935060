using System.Text.Json;
using LdlVk.Runtime.Text;
using LdlVk.Testing;

namespace LdlVk.Runtime.Tests.Text;

/// <summary>Reads the .jsonl files that hold what the reference implementation gave.</summary>
internal static class Goldens
{
    internal static List<JsonElement> Lines(params string[] path) =>
        [.. File.ReadLines(Repository.Path(path)).Select(line => JsonDocument.Parse(line).RootElement)];

    internal static string Text(this JsonElement line, string name) => line.GetProperty(name).GetString()!;

    internal static int[] Ids(this JsonElement line, string name) => [.. line.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];

    internal static Message[] Messages(this JsonElement line) =>
        [.. line.GetProperty("messages").EnumerateArray().Select(message => new Message(message.Text("role"), message.Text("content")))];

    /// <summary>The embedded model's tokenizer: 4096 pieces, always there.</summary>
    internal static string MiniPath { get; } = Repository.Path("models", "ldl-mini", "tokenizer.json");

    private static readonly Lazy<Tokenizer> LoadedMini = new(() => Tokenizer.Load(MiniPath));

    internal static Tokenizer Mini => LoadedMini.Value;
}
