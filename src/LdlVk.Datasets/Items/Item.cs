namespace LdlVk.Datasets.Items;

/// <summary>The texts of an item: one text, or several responses to one prompt.</summary>
public sealed record Item
{
    /// <summary>An item without texts.</summary>
    public static Item None { get; } = new();

    /// <summary>The prompt; null if the item has none.</summary>
    public string? Prompt { get; init; }

    /// <summary>A conversation for each text; empty if the text is given as token ids.</summary>
    public IReadOnlyList<Conversation> Conversations { get; init; } = [];

    /// <summary>The text as token ids; null if it is not given as token ids.</summary>
    public int[]? Ids { get; init; }

    /// <summary>Whether the item has a list of responses, so that its result is a list too.</summary>
    public bool HasResponses { get; init; }

    /// <summary>Number of texts.</summary>
    public int Texts => Ids is null ? Conversations.Count : 1;

    /// <summary>Creates an item of several responses to one prompt.</summary>
    public static Item Of(string prompt, IReadOnlyList<string> responses) => new()
    {
        Prompt = prompt,
        Conversations = [.. responses.Select(r => new Conversation(prompt, r))],
        HasResponses = true,
    };
}
