namespace LdlVk.Server.Scoring;

/// <summary>A text that is in the queue or being scored.</summary>
internal sealed class QueuedText(ScoringRequest request, int index, TokenizedText text)
{
    /// <summary>The request that the text belongs to.</summary>
    public ScoringRequest Request => request;

    /// <summary>Its index among the request's texts.</summary>
    public int Index => index;

    /// <summary>Its token ids, with the positions of its steps if the model scores steps.</summary>
    public TokenizedText Text => text;

    /// <summary>Its token ids.</summary>
    public int[] Ids => text.Ids;

    /// <summary>Its node in the queue; null after it has left the queue.</summary>
    public LinkedListNode<QueuedText>? Place { get; set; }

    /// <summary>The batch that contains the text; null while it waits.</summary>
    public ScoringBatch? Batch { get; set; }
}

/// <summary>Texts that are scored together.</summary>
internal sealed class ScoringBatch(IReadOnlyList<QueuedText> texts, long rows)
{
    /// <summary>The texts.</summary>
    public IReadOnlyList<QueuedText> Texts => texts;

    /// <summary>Number of tokens of the texts; a shared prefix counts for each text.</summary>
    public long Tokens { get; } = texts.Sum(t => (long)t.Ids.Length);

    /// <summary>Number of computed tokens; a shared prefix counts once.</summary>
    public long Rows => rows;

    /// <summary>Number of texts whose clients still wait.</summary>
    public int Wanted { get; set; } = texts.Count;

    /// <summary>Cancels the batch when no client waits for any of its texts.</summary>
    public CancellationTokenSource Abandoned { get; } = new();
}
