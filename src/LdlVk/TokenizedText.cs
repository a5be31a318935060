namespace LdlVk;

/// <summary>A text as token ids, or the reason why it has none.</summary>
/// <param name="Ids">The ids; empty where there is an error.</param>
/// <param name="Error">Why there are none; null if there are.</param>
public readonly record struct TokenizedText(int[] Ids, Notice? Error = null)
{
    /// <summary>A text that could not be tokenized.</summary>
    public static TokenizedText Failed(Notice error) => new([], error);
}
