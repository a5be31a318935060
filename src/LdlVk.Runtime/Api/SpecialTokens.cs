namespace LdlVk;

/// <summary>What special tokens are, such as <c>&lt;end_of_turn&gt;</c>, that somebody wrote into a message.</summary>
public enum SpecialTokens
{
    /// <summary>The tokens themselves, as in the reference: who writes a message can then end their turn and begin another's.</summary>
    Tokens,

    /// <summary>Text like any other: nothing in a message steers the model.</summary>
    Text,
}
