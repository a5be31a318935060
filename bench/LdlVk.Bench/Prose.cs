using System.Text;
using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Bench;

/// <summary>English prose to tokenise: the prompts and answers of ldl-mini's evaluation pairs, in shuffled order over and over.</summary>
internal static class Prose
{
    internal const int Bytes = 1_000_000;

    /// <summary><see cref="Bytes"/> of UTF-8, always the same.</summary>
    internal static string Megabyte()
    {
        string[] texts = File.ReadLines(Repository.Path("tests", "data", "ldl-mini", "eval-permissive.jsonl")).SelectMany(Texts).ToArray();
        Random random = new(1);
        StringBuilder prose = new(Bytes);
        while (prose.Length < Bytes) // at least a byte a character
        {
            random.Shuffle(texts);
            foreach (string text in texts) prose.Append(text).Append("\n\n");
        }
        byte[] utf8 = Encoding.UTF8.GetBytes(prose.ToString());
        return Encoding.UTF8.GetString(utf8, 0, Bytes);
    }

    private static string[] Texts(string line)
    {
        using var pair = JsonDocument.Parse(line);
        return [.. new[] { "prompt", "chosen", "rejected" }.Select(name => pair.RootElement.GetProperty(name).GetString()!)];
    }
}
