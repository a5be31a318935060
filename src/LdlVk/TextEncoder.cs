using LdlVk.Runtime;
using LdlVk.Runtime.Text;

namespace LdlVk;

/// <summary>Turns texts and conversations into token ids as a checkpoint wants them. Needs the tokenizer's files alone. Thread-safe.</summary>
public sealed class TextEncoder
{
    private readonly Tokenizer? _tokenizer;
    private readonly Lazy<DetectedChatTemplate?> _template;
    private readonly string _folder;

    /// <summary>Reads tokenizer.json, if there is one.</summary>
    /// <param name="folder">Folder of the checkpoint.</param>
    /// <param name="chatTemplate">
    /// <c>auto</c>: the checkpoint's own, looked for when it is first needed; <c>gemma2</c>: that one; <c>none</c>: contents joined as they are.
    /// </param>
    /// <exception cref="CheckpointException">tokenizer.json is damaged or of another kind.</exception>
    public TextEncoder(string folder, string chatTemplate = "auto")
    {
        _folder = folder;
        string tokenizer = Path.Combine(folder, "tokenizer.json");
        if (File.Exists(tokenizer)) _tokenizer = Tokenizer.Load(tokenizer);
        _template = new(() => chatTemplate switch
        {
            "none" => null,
            "gemma2" => new DetectedChatTemplate(ChatTemplate.Gemma2, Source: null, Note: null),
            _ => ChatTemplate.Detect(Path.Combine(folder, "tokenizer_config.json")),
        });
    }

    /// <summary>Whether there is a tokenizer.json; without one only token ids can be scored.</summary>
    public bool HasTokenizer => _tokenizer is not null;

    /// <summary>What the user should know about the choice of the template; null if nothing.</summary>
    /// <exception cref="CheckpointException">The checkpoint's template is not a known one.</exception>
    public string? Note => _template.Value?.Note;

    /// <summary>Ids of a text as it is: no <c>&lt;bos&gt;</c>, no template.</summary>
    public int[] Encode(string text) => Required.Encode(text);

    /// <summary>
    /// Ids of a text that holds the template already: as it is, behind one <c>&lt;bos&gt;</c>, whether it begins with that or not.
    /// </summary>
    public int[] EncodeTemplated(string text)
    {
        int[] ids = Required.Encode(text);
        return ids is [int first, ..] && first == Required.Bos ? ids : [Required.Bos, .. ids];
    }

    /// <summary>Ids of a whole conversation, <c>&lt;bos&gt;</c> and template included.</summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="typed">What special tokens are that stand in a message.</param>
    /// <exception cref="InputException">The conversation does not fit the template.</exception>
    /// <exception cref="CheckpointException">There is no tokenizer, or the template is not a known one.</exception>
    public int[] Encode(Conversation conversation, SpecialTokens typed = SpecialTokens.Tokens)
    {
        if (_template.Value is { } template) return template.Template.Encode(Required, conversation.Messages, typed: typed);
        string text = string.Concat(conversation.Messages.Select(m => m.Content));
        return [Required.Bos, .. Required.Encode(text, typed == SpecialTokens.Text ? [0..text.Length] : [])];
    }

    private Tokenizer Required => _tokenizer
        ?? throw new CheckpointException($"{_folder} has no tokenizer.json, so only input_ids can be scored there. Download it from the model's page.");
}
