namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// The rule by which a model's own code chooses the token whose hidden state the head reads. The rules differ where a text contains the
/// padding token, which is so in every text if <c>pad_token_id</c> is the token that ends a turn.
/// </summary>
internal enum ReadRule
{
    /// <summary>
    /// The last token, whatever it is (value heads: TRL, OpenRLHF, GRM, UltraRM, safe-rlhf, InternLM2; the logit of a token).
    /// </summary>
    LastToken,

    /// <summary>
    /// The rightmost token that is not padding; the first one if all are (transformers' GenericForSequenceClassification).
    /// </summary>
    RightmostNotPad,

    /// <summary>
    /// The token before the first padding token; the last one if none is padding, or if the first one is (transformers up to 4.4x, and the
    /// published code of LDL-Reward-Gemma-2, INF-ORM-Llama3.1, ArmoRM, QRM, URM and Starling).
    /// </summary>
    BeforeFirstPad,
}

/// <summary>Applies a <see cref="ReadRule"/>.</summary>
internal static class ReadPosition
{
    /// <summary>Returns the index of the token that the head reads.</summary>
    /// <param name="rule">The model's rule.</param>
    /// <param name="ids">The text, with at least one token.</param>
    /// <param name="pad">The padding token; null if the model has none, in which case the last token is read.</param>
    public static int Of(ReadRule rule, ReadOnlySpan<int> ids, int? pad)
    {
        int last = ids.Length - 1;
        if (pad is not int padding || rule == ReadRule.LastToken) return last;
        if (rule == ReadRule.RightmostNotPad) return Math.Max(0, ids.LastIndexOfAnyExcept(padding));
        int first = ids.IndexOf(padding);
        return first <= 0 ? last : first - 1;
    }

    /// <summary>A phrase that says what a rule reads.</summary>
    public static string Phrase(this ReadRule rule) => rule switch
    {
        ReadRule.LastToken => "the last token",
        ReadRule.RightmostNotPad => "the rightmost token that is not padding",
        _ => "the token before the first padding",
    };
}
