using LdlVk.Runtime;
using LdlVk.Runtime.Text;

namespace LdlVk;

/// <summary>Turns conversations into token ids as the checkpoint wants them.</summary>
internal sealed class Tokenization
{
    private readonly Tokenizer? _tokenizer;
    private readonly ChatTemplate? _template;
    private readonly string _folder;

    /// <param name="folder">Folder of the checkpoint.</param>
    /// <param name="chatTemplate"><c>auto</c>, <c>gemma2</c> or <c>none</c>.</param>
    public Tokenization(string folder, string chatTemplate)
    {
        _folder = folder;
        string tokenizer = Path.Combine(folder, "tokenizer.json"), config = Path.Combine(folder, "tokenizer_config.json");
        if (!File.Exists(tokenizer)) return;
        _tokenizer = Tokenizer.Load(tokenizer);
        if (chatTemplate == "none") return;
        if (chatTemplate == "gemma2")
        {
            _template = ChatTemplate.Gemma2;
            return;
        }

        DetectedChatTemplate detected = ChatTemplate.Detect(File.Exists(config) ? config : null);
        (_template, Note) = (detected.Template, detected.Note);
    }

    /// <summary>What the user should know about the choice of the template; null if nothing.</summary>
    public string? Note { get; }

    /// <summary>Ids of a whole conversation.</summary>
    public int[] Encode(Conversation conversation)
    {
        Tokenizer tokenizer = _tokenizer
            ?? throw new CheckpointException($"{_folder} has no tokenizer.json, so only lines with input_ids can be scored. Download it from the model's page.");
        return _template is null
            ? [tokenizer.Bos, .. tokenizer.Encode(string.Concat(conversation.Messages.Select(m => m.Content)))]
            : _template.Encode(tokenizer, conversation.Messages);
    }
}
