namespace LdlVk.Server.Scoring;

/// <summary>A text that waits or is being scored.</summary>
internal sealed class QueuedText(ScoringRequest request, int index, int[] ids)
{
    /// <summary>Whose text it is.</summary>
    public ScoringRequest Request => request;

    /// <summary>Its number among the request's texts.</summary>
    public int Index => index;

    /// <summary>Its tokens.</summary>
    public int[] Ids => ids;

    /// <summary>Its place in the queue; null once it has left.</summary>
    public LinkedListNode<QueuedText>? Place { get; set; }

    /// <summary>The batch that it is scored in; null before.</summary>
    public ScoringBatch? Batch { get; set; }
}

/// <summary>Texts that are scored together.</summary>
internal sealed class ScoringBatch(IReadOnlyList<QueuedText> texts, long rows)
{
    /// <summary>The texts.</summary>
    public IReadOnlyList<QueuedText> Texts => texts;

    /// <summary>Tokens of the texts, shared beginnings counted for each.</summary>
    public long Tokens { get; } = texts.Sum(t => (long)t.Ids.Length);

    /// <summary>Tokens that are computed, shared beginnings counted once.</summary>
    public long Rows => rows;

    /// <summary>Texts that somebody still waits for.</summary>
    public int Wanted { get; set; } = texts.Count;

    /// <summary>Cancelled when nobody waits for any of the texts any more.</summary>
    public CancellationTokenSource Abandoned { get; } = new();
}
