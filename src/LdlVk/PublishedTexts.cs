namespace LdlVk;

/// <summary>The conversations of model cards. Their words are those of the cards, since another word is another score.</summary>
internal static class PublishedTexts
{
    private const string Apples =
        "Jane has 12 apples. She gives 4 apples to her friend Mark, then buys 1 more apple, and finally splits all her apples equally "
        + "among herself and her 2 siblings. How many apples does each person get?";

    private const string ApplesBegin =
        "1. Jane starts with 12 apples and gives 4 to Mark. 12 - 4 = 8. Jane now has 8 apples.\n"
        + "2. Jane buys 1 more apple. 8 + 1 = 9. Jane now has 9 apples.\n";

    private const string Sleep = "Tips for better sleep?", Name = "Hello! What's your name?";

    /// <summary>Of the cards of Skywork-Reward.</summary>
    public static Conversation ApplesRight { get; } = new(
        Apples, ApplesBegin + "3. Jane splits the 9 apples equally among herself and her 2 siblings (3 people in total). "
        + "9 ÷ 3 = 3 apples each. Each person gets 3 apples.");

    /// <summary>Of the cards of Skywork-Reward.</summary>
    public static Conversation ApplesWrong { get; } = new(
        Apples, ApplesBegin + "3. Jane splits the 9 apples equally among her 2 siblings (2 people in total). "
        + "9 ÷ 2 = 4.5 apples each. Each person gets 4 apples.");

    /// <summary>Of the card of InternLM2-Reward.</summary>
    public static Conversation NameKnown { get; } = new(Name, "My name is InternLM2! A helpful AI assistant. What can I do for you?");

    /// <summary>Of the card of InternLM2-Reward.</summary>
    public static Conversation NameUnknown { get; } = new(Name, "I have no idea.");

    /// <summary>Of the card of WorldPM, with its empty system message.</summary>
    public static Conversation SleepTips { get; } = Of(
        "Three key tips for better sleep:\n1. Set a consistent bedtime and wake-up schedule\n2. Avoid screens 1 hour before bed\n"
        + "3. Keep your bedroom cool and dark\n\nStart with these habits and you should notice improvement within a week.");

    /// <summary>Of the card of WorldPM, with its empty system message.</summary>
    public static Conversation SleepPills { get; } = Of(
        "just try sleeping earlier or take some pills if u cant sleep lol. maybe watch tv until u get tired idk");

    private static Conversation Of(string answer) =>
        new([new Message("system", ""), new Message("user", Sleep), new Message("assistant", answer)]);
}
