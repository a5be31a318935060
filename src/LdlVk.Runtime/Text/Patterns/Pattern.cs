namespace LdlVk.Runtime.Text.Patterns;

/// <summary>
/// A regular expression of a tokenizer.json. .NET's own class matches UTF-16 units where the reference matches characters, knows no
/// <c>++</c>, and takes other characters for the same letter. Thread-safe.
/// </summary>
/// <param name="source">The expression.</param>
/// <exception cref="PatternException">It is not one, or uses what is not implemented.</exception>
internal sealed class Pattern(string source) : Splitting.Matcher
{
    /// <summary>
    /// Steps that a search may take, for each character of a text. Expressions of real tokenizers take fewer than 20 on the worst texts.
    /// </summary>
    public const int StepsPerCharacter = 256;

    private readonly PatternProgram _program = new(source);

    /// <summary>The characters of <c>\w</c>.</summary>
    public static CharacterSet Word { get; } = new CharacterSet().AddWord(isAlone: true);

    public override bool Find(ReadOnlySpan<char> text, int from, MatchState state, out int start, out int end) =>
        new PatternMatcher(_program, source, text, state).Search(from, out start, out end);
}
