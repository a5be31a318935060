namespace LdlVk.Datasets.Items;

/// <summary>The texts of an item: one text, or several responses to one prompt.</summary>
public sealed record Item
{
    /// <summary>An item without texts.</summary>
    public static Item None { get; } = new();

    /// <summary>The last message of the user before the response; null if the item has none.</summary>
    public string? Prompt { get; init; }

    /// <summary>A conversation for each text; empty if the text is given with its template, or as token ids.</summary>
    public IReadOnlyList<Conversation> Conversations { get; init; } = [];

    /// <summary>The text with its template and special tokens; null if it is given otherwise.</summary>
    public string? Templated { get; init; }

    /// <summary>The text as token ids; null if it is given otherwise.</summary>
    public int[]? Ids { get; init; }

    /// <summary>Index in <see cref="Ids"/> of each step's last token; null if the item gives none.</summary>
    public int[]? StepPositions { get; init; }

    /// <summary>Whether the item has a list of responses, so that its result is a list too.</summary>
    public bool HasResponses { get; init; }

    /// <summary>The preference among the responses; null if the item states none.</summary>
    public Preference? Preference { get; init; }

    /// <summary>The fields that were read, in words, such as "preference pairs: prompt, chosen, rejected".</summary>
    public string Shape { get; init; } = "";

    /// <summary>What may be wrong with the item although it can be scored; null if nothing.</summary>
    public string? Doubt { get; init; }

    /// <summary>Number of texts.</summary>
    public int Texts => Ids is null && Templated is null ? Conversations.Count : 1;

    /// <summary>Creates an item of several responses to one prompt.</summary>
    public static Item Of(string prompt, IReadOnlyList<string> responses) => new()
    {
        Prompt = prompt,
        Conversations = [.. responses.Select(r => new Conversation(prompt, r))],
        HasResponses = true,
    };

    /// <summary>Returns the token ids of each text, or the reason why there are none.</summary>
    /// <param name="model">The model whose tokenizer and template are used.</param>
    public IEnumerable<TokenizedText> Encode(RewardModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (Ids is not null) return [new TokenizedText(Ids) { Steps = StepPositions }];
        return Templated is not null ? [model.EncodeTemplated(Templated)] : Conversations.Select(c => model.Encode(c));
    }
}

/// <summary>Which of an item's responses are better.</summary>
/// <param name="Chosen">Indices of the better ones; empty if the item does not say.</param>
/// <param name="IsList">Whether chosen or rejected is a list of responses, as in RewardBench 2.</param>
/// <param name="Unknown">The reason why <paramref name="Chosen"/> is empty, as a sentence; null if it is not.</param>
public sealed record Preference(IReadOnlyList<int> Chosen, bool IsList = false, string? Unknown = null)
{
    /// <summary>Pairs of responses that are compared, instead of all chosen ones with all others; empty for none.</summary>
    public IReadOnlyList<(int Better, int Worse)> Pairs { get; init; } = [];
}
