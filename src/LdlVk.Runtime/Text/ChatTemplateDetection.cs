using System.Text.Json;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Text;

/// <summary>The template to use for a checkpoint, and how it was found.</summary>
/// <param name="Template">The template.</param>
/// <param name="Source">The file whose template it is; null if the checkpoint has none and <paramref name="Template"/> is assumed.</param>
/// <param name="Note">What the user should be told; null if the checkpoint itself has the template.</param>
public sealed record DetectedChatTemplate(ChatTemplate Template, string? Source, string? Note);

/// <summary>Recognises a checkpoint's chat template. Templates are programs; they are compared with the known ones, never run.</summary>
internal static class ChatTemplateDetection
{
    private const string BosToken = "<bos>";
    private const string Override = "--chat-template gemma2 uses Gemma-2's regardless.";

    internal static DetectedChatTemplate Detect(string? configPath)
    {
        if (configPath is null) return Assumed("The checkpoint has no tokenizer_config.json");
        // Newer checkpoints keep the template in a file of its own, which then counts.
        string jinjaPath = Path.Combine(Path.GetDirectoryName(configPath) ?? "", "chat_template.jinja");
        bool config = File.Exists(configPath), jinja = File.Exists(jinjaPath);
        string? template = config ? JsonFile.Read(configPath, FromConfig, TokenizerFile.MaxBytes) : null;
        if (jinja) template = JsonFile.ReadText(jinjaPath, TokenizerFile.MaxBytes);
        if (template is null) return Assumed(config ? $"{configPath} has no chat_template" : $"{configPath} does not exist");

        string source = jinja ? jinjaPath : configPath;
        if (!JinjaText.Same(template, ChatTemplate.Gemma2Jinja))
            throw new CheckpointException($"{source}: the chat template is not one that LdlVk knows (Gemma-2's), so conversations would be "
                + $"written as the model has never seen them. {Override}");
        return new DetectedChatTemplate(ChatTemplate.Gemma2, source, null);
    }

    private static DetectedChatTemplate Assumed(string why) =>
        new(ChatTemplate.Gemma2, null, $"{why}; conversations are written as Gemma-2's template has it.");

    private static string? FromConfig(JsonField root)
    {
        // The template prints bos_token, so another one makes another template.
        if (root.TryGet("bos_token", out JsonField bos))
        {
            if (bos.Value.ValueKind == JsonValueKind.Object) bos = bos.Get("content");
            if (bos.String() != BosToken)
                throw bos.Error($"is {Shown.Quoted(bos.String())}, but Gemma-2's conversations begin with {BosToken}. {Override}");
        }
        if (!root.TryGet("chat_template", out JsonField template)) return null;
        if (template.Value.ValueKind != JsonValueKind.Array) return template.String();

        string? found = null;
        int index = 0;
        foreach (JsonElement item in template.Items())
        {
            JsonField named = template.Item(index++, item);
            if (named.Get("name").String() != "default") continue;
            if (found is not null) throw named.Error("is the second template named \"default\".");
            found = named.Get("template").String();
        }
        return found ?? throw template.Error($"has no template named \"default\". {Override}");
    }
}
