using System.Text.Json;
using LdlVk.Runtime.Json;
using LdlVk.Runtime.Text.Jinja;

namespace LdlVk.Runtime.Text;

/// <summary>A chat template in a file, without a model: a .jinja file, or the one in a tokenizer_config.json.</summary>
public sealed class TemplateFile
{
    private readonly JinjaChatTemplate _template;

    private TemplateFile(JinjaChatTemplate template) => _template = template;

    /// <summary>The template.</summary>
    public ChatTemplate Template => _template;

    /// <summary>Whether a text so far holds the date that the template asked for.</summary>
    public bool PrintsDate => _template.PrintsDate;

    /// <summary>Opens a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="bos">The template's <c>bos_token</c>; null for that of the configuration, or none.</param>
    /// <param name="eos">The template's <c>eos_token</c>; null likewise.</param>
    /// <param name="date">The date that the template prints if it asks for today's; null for
    /// <see cref="ChatTemplate.DefaultDate"/>.</param>
    /// <exception cref="CheckpointException">The file cannot be read, or holds no template.</exception>
    public static TemplateFile Open(string path, string? bos = null, string? eos = null, DateTime? date = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        Dictionary<string, string> tokens = [];
        string source;
        if (path.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
        {
            (string? found, tokens) = JsonFile.Read(
                path, root => (ChatTemplateDetection.FromConfig(root), ChatTemplateDetection.Tokens(root)), Files.TokenizerFile.MaxBytes);
            source = found ?? throw new CheckpointException($"{path} has no chat_template.");
        }
        else source = JsonFile.ReadText(path, Files.TokenizerFile.MaxBytes);

        if (bos is not null) tokens["bos_token"] = bos;
        if (eos is not null) tokens["eos_token"] = eos;
        try
        {
            return new(new JinjaChatTemplate(source, tokens, date ?? ChatTemplate.DefaultDate));
        }
        catch (JinjaException e)
        {
            throw new CheckpointException($"{path}, line {e.Line}: {e.Message}", e);
        }
    }

    /// <summary>Renders the variables of a template, as they are.</summary>
    /// <param name="variables">
    /// An object with <c>messages</c>, and where wanted <c>tools</c>, <c>documents</c>, <c>add_generation_prompt</c> and
    /// <c>chat_template_kwargs</c>, whose members become variables too. Other members are ignored.
    /// </param>
    /// <exception cref="InputException">The template refuses them, fails, or does not end.</exception>
    public string Render(JsonElement variables)
    {
        List<KeyValuePair<string, object>> values = [new("add_generation_prompt", Python.False)];
        foreach (string name in (string[])["messages", "tools", "documents", "add_generation_prompt"])
            if (variables.TryGetProperty(name, out JsonElement value)) values.Add(new(name, JsonValues.Of(value)));
        if (variables.TryGetProperty("chat_template_kwargs", out JsonElement more) && more.ValueKind == JsonValueKind.Object)
            values.AddRange(more.EnumerateObject().Select(member => KeyValuePair.Create(member.Name, JsonValues.Of(member.Value))));
        return _template.Render(values, variables.GetRawText().Length).Value;
    }
}
