using System.Text.Json;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Text.Files;

/// <summary>The tokens that a tokenizer puts around a text, as its post-processor says.</summary>
/// <param name="Before">Contents of those in front; empty for none.</param>
/// <param name="After">Contents of those behind.</param>
internal sealed record Surroundings(IReadOnlyList<string> Before, IReadOnlyList<string> After)
{
    /// <summary>Reads the template of a single text; null if there is none.</summary>
    public static Surroundings? Read(JsonField root) =>
        root.TryGet("post_processor", out JsonField processor) ? Find(processor) : null;

    /// <summary>
    /// Returns the tokens that a tokenizer puts around a text. <c>add_bos_token</c> and <c>add_eos_token</c> of a tokenizer_config.json
    /// beside its file outweigh the post-processor, each for its side.
    /// </summary>
    /// <param name="path">The tokenizer's file.</param>
    /// <param name="file">What that file says; null if nothing.</param>
    /// <returns>The tokens on each side; null for those in front if neither file says anything of them.</returns>
    public static (IReadOnlyList<string>? Before, IReadOnlyList<string> After) Of(string path, Surroundings? file)
    {
        string config = System.IO.Path.Combine(System.IO.Path.GetDirectoryName(path) ?? "", "tokenizer_config.json");
        return !File.Exists(config) ? (file?.Before, file?.After ?? []) : JsonFile.Read(
            config,
            root =>
            {
                Dictionary<string, string> tokens = ChatTemplateDetection.Tokens(root);
                return (Side("add_bos_token", "bos_token") ?? file?.Before, Side("add_eos_token", "eos_token") ?? file?.After ?? []);

                IReadOnlyList<string>? Side(string flag, string name) => !root.TryGet(flag, out JsonField adds) ? null
                    : !adds.Boolean() ? [] : tokens.TryGetValue(name, out string? token) ? [token] : null;
            },
            TokenizerFile.MaxBytes);
    }

    /// <summary>Reads <c>bos_token</c> of a tokenizer_config.json or special_tokens_map.json beside a file; null for none.</summary>
    public static string? DeclaredBos(string path)
    {
        string folder = System.IO.Path.GetDirectoryName(path) ?? "";
        return ((string[])["tokenizer_config.json", "special_tokens_map.json"])
            .Select(name => System.IO.Path.Combine(folder, name)).Where(File.Exists)
            .Select(file => JsonFile.Read(file, ChatTemplateDetection.Tokens, TokenizerFile.MaxBytes).GetValueOrDefault("bos_token"))
            .FirstOrDefault(token => token is not null);
    }

    private static Surroundings? Find(JsonField processor)
    {
        if (processor.Value.ValueKind != JsonValueKind.Object || !processor.TryGet("type", out JsonField type)) return null;
        switch (type.String())
        {
            case "TemplateProcessing" when processor.TryGet("single", out JsonField single):
                return Template(single);
            case "RobertaProcessing" or "BertProcessing":
                return new([Pair(processor.Get("cls"))], [Pair(processor.Get("sep"))]);
            case "Sequence" when processor.TryGet("processors", out JsonField processors):
                int index = 0;
                Surroundings? found = null;
                foreach (JsonElement item in processors.Items()) found = Find(processors.Item(index++, item)) ?? found;
                return found;
            default:
                return null;
        }
    }

    /// <summary>The content of a token that is written as [content, id].</summary>
    private static string Pair(JsonField pair) => pair.Items().FirstOrDefault() is { ValueKind: not JsonValueKind.Undefined } content
        ? pair.Item(0, content).String() : throw pair.Damaged("is empty");

    private static Surroundings Template(JsonField single)
    {
        List<string> before = [], after = [];
        bool isBehind = false;
        int index = 0;
        foreach (JsonElement item in single.Items())
        {
            JsonField part = single.Item(index++, item);
            if (part.TryGet("SpecialToken", out JsonField token)) (isBehind ? after : before).Add(token.Get("id").String());
            else isBehind |= part.TryGet("Sequence", out _);
        }

        return new(before, after);
    }
}
