using LdlVk.Datasets.Items;
using LdlVk.Runtime.Model;

namespace LdlVk.Cli.Commands;

/// <summary>
/// What <c>ldlvk render</c> knows of a model's head, which its tensors show: what marks steps in a text, and which positions are read.
/// </summary>
internal sealed class RenderedHead : IDisposable
{
    private readonly string? _separator;

    private RenderedHead(Checkpoint? checkpoint, string? separator) => (Checkpoint, _separator) = (checkpoint, separator);

    /// <summary>The model; null if its weights are not there, or cannot be read.</summary>
    public Checkpoint? Checkpoint { get; }

    /// <summary>Opens a model whose head is needed; otherwise tries to.</summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="options">The options that say how texts are made.</param>
    /// <param name="isNeeded">Whether a model that cannot be opened is an error.</param>
    /// <exception cref="CheckpointException">The model cannot be opened, and its head is needed.</exception>
    /// <exception cref="UsageException">An option is of no use for the head.</exception>
    public static RenderedHead Open(string folder, RewardModelOptions options, bool isNeeded)
    {
        Checkpoint? checkpoint = null;
        try
        {
            checkpoint = Checkpoint.Open(folder, options.Adapter, options.Head);
            options.CheckFor(checkpoint.Head);
        }
        catch (CheckpointException) when (!isNeeded)
        {
            // Texts without steps need the tokenizer's files alone.
        }
        catch
        {
            checkpoint?.Dispose();
            throw;
        }

        return new RenderedHead(checkpoint, options.StepSeparator);
    }

    /// <summary>The texts of an item; null for one of token ids.</summary>
    /// <exception cref="InputException">It does not fit the template, or has steps that the model cannot score.</exception>
    public string?[] Texts(TextEncoder encoder, Item item) => item switch
    {
        { Ids: not null } => [null],
        { Templated: { } text } => [encoder.Complete(text)],
        _ => [.. item.Conversations.Select(conversation => Text(encoder, conversation))],
    };

    /// <summary>The ids of each text, and the positions that the head reads.</summary>
    /// <exception cref="InputException">A text lacks what the head reads.</exception>
    public IEnumerable<(int[] Ids, int[] Reads)> Read(TextEncoder encoder, Item item)
    {
        StepMarks marks = Checkpoint!.Head.StepMarks;
        IEnumerable<TokenizedText> texts = item switch
        {
            { Ids: { } ids } => [encoder.Marked(new TokenizedText(ids) { Steps = item.StepPositions }, marks)],
            { Templated: { } text } => [encoder.Marked(new TokenizedText(encoder.EncodeTemplated(text)), marks)],
            _ => item.Conversations.Select(conversation => encoder.Encode(conversation, marks, _separator)),
        };
        foreach (TokenizedText text in texts)
        {
            int[] ids = Checkpoint.Complete(text.Ids);
            if (ids.Length == 0) throw new InputException("the text has no tokens.");
            yield return (ids, Checkpoint.ReadPositions(ids, text.Steps));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Checkpoint?.Dispose();

    private string Text(TextEncoder encoder, Conversation conversation) => Checkpoint is not null
        ? encoder.Render(conversation, Checkpoint.Head.StepMarks, _separator)
        : conversation.Steps is null ? encoder.Render(conversation) : throw new InputException(
            "the text has steps, and what marks them depends on the model's weights, which are not there or cannot be read; --ids says "
            + "why.");
}
