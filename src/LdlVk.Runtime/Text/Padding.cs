using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Text;

/// <summary>
/// Takes off a templated text what trainers and clients put around it: padding and end-of-text tokens in any mixture at both ends, and a
/// bos token that is there twice. OpenRLHF decodes batches with their special tokens, and its own server strips them
/// (<c>openrlhf/cli/serve_rm.py</c>, <c>strip_sequence</c>). What the template puts behind the last turn is completed: the token that ends
/// a turn may be the tokenizer's eos or pad token too (Llama 3), and clients lose the last line break (Gemma-2).
/// </summary>
public sealed class Padding
{
    /// <summary>Tokens that end a text and no turn, in the tokenizers that are known.</summary>
    private static readonly string[] EndsOfText = ["<eos>", "<|end_of_text|>", "<|endoftext|>", "</s>"];

    private readonly List<string> _tokens = [];
    private readonly string _bos, _end;
    private readonly bool _beginsWithBos;

    /// <summary>Finds the tokens of a checkpoint.</summary>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <param name="template">The chat template; null if contents are joined.</param>
    /// <param name="configPath">The checkpoint's tokenizer_config.json, which need not exist.</param>
    public Padding(Tokenizer tokenizer, ChatTemplate? template, string configPath)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        (_bos, _end) = (tokenizer.BosToken ?? template?.BosToken ?? "", template?.TurnEnd ?? "");
        _beginsWithBos = _bos.Length > 0 && (template?.BeginsWithBos ?? tokenizer.Bos is not null);
        _tokens.AddRange(tokenizer.SpecialTokens.Where(token =>
            token.Contains("pad", StringComparison.OrdinalIgnoreCase) || EndsOfText.Contains(token, StringComparer.Ordinal)));
        if (File.Exists(configPath))
            _tokens.AddRange(
                JsonFile.Read(configPath, Named, Files.TokenizerFile.MaxBytes).Where(token => tokenizer.TryGetId(token, out _)));
        _tokens.Remove(_bos);
    }

    /// <summary>Returns a conversation's text without what is around it, and with the template's end.</summary>
    /// <param name="text">A templated text.</param>
    /// <param name="addBos">Whether a text without the bos token gets one if the template begins with it.</param>
    public string Strip(string text, bool addBos)
    {
        ArgumentNullException.ThrowIfNull(text);
        ReadOnlySpan<char> rest = text;
        bool hasBos = false, hadEnd = false;
        while (First(rest) is { } token)
        {
            hasBos |= token == _bos;
            rest = rest[token.Length..];
        }

        // Nothing but padding is no conversation: the model says what it is.
        if (rest.IsEmpty) return addBos && _beginsWithBos && !hasBos ? _bos + text : text;
        string turn = _end.TrimEnd('\n');
        while (Last(rest) is { } token)
        {
            hadEnd |= token == turn;
            rest = rest[..^token.Length];
        }

        bool lacksBreak = turn.Length > 0 && rest.EndsWith(turn, StringComparison.Ordinal);
        return string.Concat(
            hasBos || (addBos && _beginsWithBos) ? _bos : "", rest, hadEnd ? _end : lacksBreak ? _end[turn.Length..] : "");
    }

    private string? First(ReadOnlySpan<char> text)
    {
        if (_bos.Length > 0 && text.StartsWith(_bos, StringComparison.Ordinal)) return _bos;
        foreach (string token in _tokens)
            if (text.StartsWith(token, StringComparison.Ordinal)) return token;
        return null;
    }

    private string? Last(ReadOnlySpan<char> text)
    {
        foreach (string token in _tokens)
            if (text.EndsWith(token, StringComparison.Ordinal)) return token;
        return null;
    }

    private static List<string> Named(JsonField root)
    {
        List<string> tokens = [];
        foreach (string name in (string[])["pad_token", "eos_token"])
        {
            if (!root.TryGet(name, out JsonField field)) continue;
            tokens.Add((field.Value.ValueKind == System.Text.Json.JsonValueKind.Object ? field.Get("content") : field).String());
        }

        return tokens;
    }
}
