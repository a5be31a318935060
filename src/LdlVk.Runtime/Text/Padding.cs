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

    private readonly HashSet<int> _tokens = [];
    private readonly int _bos;
    private readonly bool _beginsWithBos;
    private readonly int[] _end;

    /// <summary>Finds the tokens of a checkpoint.</summary>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <param name="template">The chat template; null if contents are joined.</param>
    /// <param name="configPath">The checkpoint's tokenizer_config.json, which need not exist.</param>
    public Padding(Tokenizer tokenizer, ChatTemplate? template, string configPath)
    {
        foreach ((string token, int id) in tokenizer.SpecialTokens)
        {
            if (token.Contains("pad", StringComparison.OrdinalIgnoreCase) || EndsOfText.Contains(token, StringComparer.Ordinal))
                _tokens.Add(id);
        }

        if (File.Exists(configPath))
        {
            foreach (string token in JsonFile.Read(configPath, Named, TokenizerFile.MaxBytes))
                if (tokenizer.TryGetId(token, out int id)) _tokens.Add(id);
        }

        (_bos, _beginsWithBos) = (tokenizer.Bos, template?.BeginsWithBos ?? true);
        _tokens.Remove(_bos);
        _end = template is null ? [] : tokenizer.Encode(template.TurnEnd);
    }

    /// <summary>Returns the ids of a conversation without what is around it, and with the template's end.</summary>
    /// <param name="ids">The ids of a templated text; not changed.</param>
    /// <param name="addBos">Whether a text without the bos token gets one if the template begins with it.</param>
    public int[] Strip(int[] ids, bool addBos)
    {
        int start = 0, end = ids.Length;
        bool hadBos = false, hadEnd = false;
        for (; start < end && (_tokens.Contains(ids[start]) || ids[start] == _bos); start++) hadBos |= ids[start] == _bos;
        // Nothing but padding is no conversation; the model says what it is.
        if (start == end) return addBos && _beginsWithBos && !hadBos ? [_bos, .. ids] : ids;
        for (; _tokens.Contains(ids[end - 1]); end--) hadEnd |= _end.Length > 0 && ids[end - 1] == _end[0];
        IEnumerable<int> missing = hadEnd ? _end : _end.Length > 0 && ids[end - 1] == _end[0] ? _end[1..] : [];
        return [.. hadBos || (addBos && _beginsWithBos) ? (int[])[_bos] : [], .. ids.AsSpan(start, end - start), .. missing];
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
