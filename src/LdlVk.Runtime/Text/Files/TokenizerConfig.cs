using System.Globalization;
using System.Text.Json;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Text.Files;

/// <summary>What the files beside a tokenizer.model say about it: tokenizer_config.json, and added_tokens.json of before it.</summary>
internal sealed record TokenizerConfig
{
    private const int MaxTokens = 1 << 20;

    /// <summary>Name of the file that has the added tokens.</summary>
    public string Source { get; private init; } = "";

    /// <summary>The added tokens.</summary>
    public IReadOnlyList<AddedToken> Added { get; private init; } = [];

    /// <summary>Whether each part of a text between added tokens gets a space in front, or the text alone; null if nothing says.</summary>
    public bool? IsLegacy { get; private init; }

    /// <summary>Whether texts get a space in front at all; null if nothing says.</summary>
    public bool? AddsPrefix { get; private init; }

    /// <summary>Reads what there is beside a file.</summary>
    /// <exception cref="CheckpointException">A file is damaged.</exception>
    public static TokenizerConfig Read(string path)
    {
        string folder = System.IO.Path.GetDirectoryName(path) ?? "";
        string config = System.IO.Path.Combine(folder, "tokenizer_config.json");
        string added = System.IO.Path.Combine(folder, "added_tokens.json");
        TokenizerConfig found = File.Exists(config) ? JsonFile.Read(config, FromConfig, TokenizerFile.MaxBytes) : new();
        return found.Added.Count == 0 && File.Exists(added)
            ? found with { Source = "added_tokens.json", Added = JsonFile.Read(added, FromAdded, TokenizerFile.MaxBytes) }
            : found;
    }

    private static TokenizerConfig FromConfig(JsonField root) => new()
    {
        Source = "tokenizer_config.json",
        Added = root.TryGet("added_tokens_decoder", out JsonField decoder) ? FromDecoder(decoder) : [],
        IsLegacy = root.TryGet("legacy", out JsonField legacy) ? legacy.Boolean() : null,
        AddsPrefix = root.TryGet("add_prefix_space", out JsonField prefix) ? prefix.Boolean() : null,
    };

    private static List<AddedToken> FromDecoder(JsonField decoder)
    {
        List<AddedToken> tokens = [];
        foreach (JsonProperty member in decoder.Members())
        {
            JsonField token = decoder.Member(Shown.Quoted(member.Name), member.Value);
            if (!int.TryParse(member.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id >= TokenizerFile.IdLimit)
                throw token.Error("has a name that is no id. Use the file that was published with the weights.");
            tokens.Add(new AddedToken(
                Content(token.Get("content")), id, Flag("special"), Flag("normalized"), Flag("single_word"), Flag("lstrip"),
                Flag("rstrip")));
            bool Flag(string name) => token.TryGet(name, out JsonField field) && field.Boolean();
        }

        return Unique(tokens, decoder);
    }

    private static List<AddedToken> FromAdded(JsonField root)
    {
        List<AddedToken> tokens = [];
        foreach (JsonProperty member in root.Members())
            tokens.Add(new AddedToken(
                member.Name.Length > 0 ? member.Name : throw root.Error("has a token without text."),
                root.Member(Shown.Quoted(member.Name), member.Value).Integer(0, TokenizerFile.IdLimit - 1)));
        return Unique(tokens, root);
    }

    private static string Content(JsonField field) => field.String() is { Length: > 0 } content ? content : throw field.Error("is empty.");

    private static List<AddedToken> Unique(List<AddedToken> tokens, JsonField field)
    {
        if (tokens.Count > MaxTokens) throw field.Error($"has more than {MaxTokens:N0} tokens.");
        if (tokens.GroupBy(token => token.Content, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw field.Error($"has {Shown.Quoted(twice.Key)} twice. Use the file that was published with the weights.");
        if (tokens.GroupBy(token => token.Id).FirstOrDefault(group => group.Count() > 1) is { } id)
            throw field.Error($"has the id {id.Key} twice. Use the file that was published with the weights.");
        return tokens;
    }
}
