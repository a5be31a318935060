using System.Text.Json;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Text;

/// <summary>The template to use for a checkpoint, and its origin.</summary>
/// <param name="Template">The template.</param>
/// <param name="Source">The file that contains the template; null if the checkpoint has none and <paramref name="Template"/> is
/// assumed.</param>
/// <param name="Note">A note for the user; null if the checkpoint contains the template.</param>
public sealed record DetectedChatTemplate(ChatTemplate Template, string? Source, string? Note);

/// <summary>
/// Recognizes a checkpoint's chat template. Templates are programs: they are compared with the known ones, and never run.
/// </summary>
internal static class ChatTemplateDetection
{
    private static readonly Notice Override =
        $"{OptionName.ChatTemplate.Of(string.Join('|', ChatTemplate.All.Select(t => t.Name)))} uses one of those regardless.";

    internal static DetectedChatTemplate Detect(string? configPath, ChatTemplate assumed)
    {
        if (configPath is null) return Assumed("The checkpoint has no tokenizer_config.json");
        // Newer checkpoints have the template in a separate file, which takes precedence.
        string jinjaPath = Path.Combine(Path.GetDirectoryName(configPath) ?? "", "chat_template.jinja");
        bool config = File.Exists(configPath), jinja = File.Exists(jinjaPath);
        (string? template, string? bos) = config
            ? JsonFile.Read(configPath, root => (FromConfig(root), BosToken(root)), TokenizerFile.MaxBytes)
            : default;
        if (jinja) template = JsonFile.ReadText(jinjaPath, TokenizerFile.MaxBytes);
        // Templates print bos_token, so a different bos_token makes a different template.
        if (template is null && bos is not null && bos != assumed.BosToken) throw OtherBos(assumed);
        if (template is null) return Assumed(config ? $"{configPath} has no chat_template" : $"{configPath} does not exist");

        string source = jinja ? jinjaPath : configPath;
        ChatTemplate found = ChatTemplate.All.FirstOrDefault(t => t.Is(template)) ?? throw new CheckpointException(
            $"{source}: the chat template is not one that LdlVk knows ({string.Join(", ", ChatTemplate.All.Select(t => t.Title))}), "
            + $"so conversations would be "
            + $"written as the model has never seen them. {Override}");
        if (bos is not null && bos != found.BosToken && found != ChatTemplate.Gemma2WithoutBos) throw OtherBos(found);
        return new DetectedChatTemplate(found, source, null);

        DetectedChatTemplate Assumed(string why) =>
            new(assumed, null, $"{why}; conversations are written as {assumed.Title} template has it.");

        CheckpointException OtherBos(ChatTemplate of) =>
            new(
                $"{configPath}: bos_token is {Shown.Quoted(bos)}, but conversations of {of.Title} template begin with {of.BosToken}. "
                + $"{Override}");
    }

    private static string? BosToken(JsonField root)
    {
        if (!root.TryGet("bos_token", out JsonField bos)) return null;
        return (bos.Value.ValueKind == JsonValueKind.Object ? bos.Get("content") : bos).String();
    }

    private static string? FromConfig(JsonField root)
    {
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
