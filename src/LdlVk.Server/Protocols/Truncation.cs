namespace LdlVk.Server.Protocols;

/// <summary>What a request asks for with a text that is too long. The default is nothing: such a text is refused.</summary>
/// <param name="Cut">Receives the token ids and the maximum number that the model takes; returns the ids to score.</param>
internal readonly record struct Truncation(Func<int[], int, int[]>? Cut)
{
    /// <summary>The last tokens, as many as the model takes.</summary>
    public static Truncation EndThatFits { get; } = new((ids, max) => End(ids, max));

    /// <summary>The first tokens, as many as the model takes.</summary>
    public static Truncation BeginningThatFits { get; } = new((ids, max) => ids.Length > max ? ids[..max] : ids);

    /// <summary>As many tokens as the model takes, without those in the middle.</summary>
    public static Truncation WithoutMiddle { get; } = new(RewardModel.DropMiddle);

    /// <summary>The last <paramref name="count"/> tokens.</summary>
    public static Truncation KeepEnd(int count) => new((ids, _) => End(ids, count));

    /// <summary>The first <paramref name="count"/> tokens.</summary>
    public static Truncation KeepBeginning(int count) => new((ids, _) => ids.Length > count ? ids[..count] : ids);

    /// <summary>Returns the tokens to score.</summary>
    /// <param name="ids">The text.</param>
    /// <param name="max">Maximum number of tokens that the model takes.</param>
    public int[] Apply(int[] ids, int max) => Cut is null ? ids : Cut(ids, max);

    private static int[] End(int[] ids, int count) => ids.Length > count ? ids[^count..] : ids;
}
