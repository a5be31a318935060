using System.Text.Json.Nodes;

namespace LdlVk.Testing;

/// <summary>
/// A process reward model of the goldens with Qwen's own tokenizer: the embedding of token i is that of token i mod n of the golden
/// checkpoint, whose n tokens are too few. So its scores are those of the golden checkpoint for <see cref="GoldenIds"/>.
/// </summary>
public static class StepModel
{
    /// <summary>The token behind each step of Qwen2.5-Math-PRM, with the id that it has there.</summary>
    public const string Token = "<extra_0>";

    /// <summary>What Qwen2.5's template makes of messages, without its default system message.</summary>
    private const string ChatMl = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}";

    private const int TokenId = 151651, Vocabulary = 151936;

    /// <summary>Writes the model.</summary>
    /// <param name="folder">The folder, which is made.</param>
    /// <param name="name">The golden case.</param>
    /// <param name="tokenizerJson">Qwen's tokenizer.json.</param>
    /// <param name="bos">bos_token of its tokenizer_config.json, which the tokenizer does not put in front of texts; null for none.</param>
    public static void Write(string folder, string name, string tokenizerJson, string? bos = null)
    {
        string from = Path.Combine(FamilyGoldens.Folder, name);
        Directory.CreateDirectory(folder);
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(from, "config.json")))!;
        config["vocab_size"] = Vocabulary;
        config["pad_token_id"] = 151643;
        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
        OtherHead.WriteTensors(
            Path.Combine(folder, "model.safetensors"),
            [.. OtherHead.ReadAll(from).Where(t => t.Name != "lm_head.weight").Select(t => t.Name.EndsWith("embed_tokens.weight", StringComparison.Ordinal) ? Repeated(t) : t)]);
        JsonNode tokenizer = JsonNode.Parse(File.ReadAllText(tokenizerJson))!;
        tokenizer["added_tokens"]!.AsArray().Single(token => (int)token!["id"]! == TokenId)!["content"] = Token;
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), tokenizer.ToJsonString());
        File.WriteAllText(
            Path.Combine(folder, "tokenizer_config.json"),
            new JsonObject { ["add_bos_token"] = false, ["bos_token"] = bos, ["chat_template"] = ChatMl }.ToJsonString());
    }

    /// <summary>The text of messages in the template.</summary>
    public static string Text(params (string Role, string Content)[] messages) =>
        string.Concat(messages.Select(m => $"<|im_start|>{m.Role}\n{m.Content}<|im_end|>\n"));

    /// <summary>The ids of the golden checkpoint whose embeddings such ids have.</summary>
    public static int[] GoldenIds(string name, IEnumerable<int> ids)
    {
        int tokens = (int)JsonNode.Parse(File.ReadAllText(Path.Combine(FamilyGoldens.Folder, name, "config.json")))!["vocab_size"]!;
        return [.. ids.Select(id => id % tokens)];
    }

    private static OtherHead.Tensor Repeated(OtherHead.Tensor table)
    {
        float[] values = new float[Vocabulary * table.Shape[1]];
        for (int at = 0; at < values.Length; at += table.Values.Length)
            table.Values.AsSpan(0, Math.Min(table.Values.Length, values.Length - at)).CopyTo(values.AsSpan(at));
        return table with { Shape = [Vocabulary, table.Shape[1]], Values = values };
    }
}
