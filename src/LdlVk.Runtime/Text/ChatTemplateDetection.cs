using System.Globalization;
using System.Text.Json;
using LdlVk.Runtime.Json;
using LdlVk.Runtime.Text.Jinja;

namespace LdlVk.Runtime.Text;

/// <summary>The template to use for a checkpoint, and its origin.</summary>
/// <param name="Template">The template.</param>
/// <param name="Source">The file that contains the template; null if the checkpoint has none and <paramref name="Template"/> is
/// assumed.</param>
/// <param name="Note">A note for the user; null if there is nothing to say.</param>
/// <param name="Date">The date that the template prints; null if it prints none.</param>
public sealed record DetectedChatTemplate(ChatTemplate Template, string? Source, Notice? Note, string? Date);

/// <summary>Finds a checkpoint's chat template: one of the known ones, or a program for the interpreter of Jinja.</summary>
internal static class ChatTemplateDetection
{
    private static readonly string[] TokenNames =
        ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    private static readonly Notice Override =
        $"{OptionName.ChatTemplate.Of(string.Join('|', ChatTemplate.All.Select(t => t.Name)))} uses one of those regardless.";

    internal static DetectedChatTemplate Detect(string? configPath, ChatTemplate? assumed, DateTime? date)
    {
        if (configPath is null) return Assumed("The checkpoint has no tokenizer_config.json");
        // Newer checkpoints have the template in a separate file, which takes precedence.
        string folder = Path.GetDirectoryName(configPath) ?? "", jinjaPath = Path.Combine(folder, "chat_template.jinja");
        bool config = File.Exists(configPath), jinja = File.Exists(jinjaPath);
        Dictionary<string, string> tokens = Tokens(Path.Combine(folder, "special_tokens_map.json"));
        string? bos = null, template = null;
        if (config)
        {
            Dictionary<string, string> own;
            (template, own) = JsonFile.Read(configPath, root => (FromConfig(root), Tokens(root)), Files.TokenizerFile.MaxBytes);
            bos = own.GetValueOrDefault("bos_token");
            foreach ((string name, string token) in own) tokens[name] = token;
        }

        if (jinja) template = JsonFile.ReadText(jinjaPath, Files.TokenizerFile.MaxBytes);
        // Templates print bos_token, so a different bos_token makes a different template.
        if (template is null && assumed is not null && bos is not null && bos != assumed.BosToken) throw OtherBos(assumed);
        if (template is null) return Assumed(config ? $"{configPath} has no chat_template" : $"{configPath} does not exist");

        string source = jinja ? jinjaPath : configPath;
        ChatTemplate found = ChatTemplate.All.FirstOrDefault(t => t.Is(template))
            ?? Own(template, source, tokens, date ?? ChatTemplate.DefaultDate);
        if (bos is not null && bos != found.BosToken && found != ChatTemplate.Gemma2WithoutBos) throw OtherBos(found);
        if (!found.PrintsDate) return new DetectedChatTemplate(found, source, null, date is null ? null : throw NoDate());
        DateTime used = date ?? ChatTemplate.DefaultDate;
        string day = used.ToString(used.TimeOfDay == default ? "yyyy-MM-dd" : "yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture);
        Notice note = $"The chat template prints today's date, so the original's scores change by the day. Here it prints {day} "
            + $"every day; {OptionName.TemplateDate.Of("YYYY-MM-DD")} sets another.";
        return new DetectedChatTemplate(found, source, date is null ? note : null, day);

        DetectedChatTemplate Assumed(string why) => assumed is null
            ? throw new CheckpointException(
                $"{why}, and its tokenizer is not one whose template LdlVk knows. Put the model's chat_template.jinja into its folder. "
                + $"{Override}")
            : date is not null ? throw NoDate()
            : new(assumed, null, $"{why}; conversations are written as {assumed.Title} template has it.", null);

        CheckpointException OtherBos(ChatTemplate of) =>
            new(
                $"{configPath}: bos_token is {Shown.Quoted(bos)}, but conversations of {of.Title} template begin with {of.BosToken}. "
                + $"{Override}");
    }

    private static UsageException NoDate() =>
        new($"The chat template prints no date, so {OptionName.TemplateDate} would change nothing. Leave it out.");

    private static JinjaChatTemplate Own(string template, string path, Dictionary<string, string> tokens, DateTime date)
    {
        try
        {
            JinjaChatTemplate own = new(template, tokens, date);
            return !own.LeavesOutMessages ? own : throw new CheckpointException(
                $"{path}: the chat template leaves out what messages say: a short conversation becomes {Shown.Quoted(own.Sample!)}. "
                + $"{Override}");
        }
        catch (JinjaException e)
        {
            throw new CheckpointException($"{path}: line {e.Line} of the chat template: {e.Message} {Override}", e);
        }
    }

    private static Dictionary<string, string> Tokens(string path) =>
        File.Exists(path) ? JsonFile.Read(path, Tokens, Files.TokenizerFile.MaxBytes) : [];

    internal static Dictionary<string, string> Tokens(JsonField root)
    {
        Dictionary<string, string> tokens = new(StringComparer.Ordinal);
        foreach (string name in TokenNames)
        {
            if (!root.TryGet(name, out JsonField token)) continue;
            if (token.Value.ValueKind == JsonValueKind.Object) token = token.Get("content");
            tokens[name] = token.String();
        }

        return tokens;
    }

    internal static string? FromConfig(JsonField root)
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
