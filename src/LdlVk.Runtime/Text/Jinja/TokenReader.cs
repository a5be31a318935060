namespace LdlVk.Runtime.Text.Jinja;

/// <summary>Walks over the tokens of a template.</summary>
internal sealed class TokenReader(List<Token> tokens)
{
    private int _at;

    public Token Current => tokens[_at];

    public int Line => Current.Line;

    /// <summary>Index of the current token, for <see cref="Names"/>.</summary>
    public int Position => _at;

    public bool IsAtEndOfTag => Current.Kind is TokenKind.BlockEnd or TokenKind.PrintEnd or TokenKind.End;

    public Token Next() => Current.Kind == TokenKind.End ? Current : tokens[_at++];

    public bool IsOperator(string text) => Current.Is(TokenKind.Operator, text);

    public bool IsName(string text) => Current.Is(TokenKind.Name, text);

    public bool IsNameAhead(string text) => _at + 1 < tokens.Count && tokens[_at + 1].Is(TokenKind.Name, text);

    public bool IsOperatorAhead(string text) => _at + 1 < tokens.Count && tokens[_at + 1].Is(TokenKind.Operator, text);

    public bool Skip(string operation)
    {
        if (!IsOperator(operation)) return false;
        _at++;
        return true;
    }

    public bool SkipName(string name)
    {
        if (!IsName(name)) return false;
        _at++;
        return true;
    }

    public void Expect(string operation)
    {
        if (!Skip(operation)) throw Error($"{Current} stands where {Shown.Quoted(operation)} is expected.");
    }

    public string ExpectName() => Current.Kind == TokenKind.Name ? Next().Text : throw Error($"{Current} stands where a name is expected.");

    public void Expect(TokenKind kind)
    {
        if (Current.Kind != kind) throw Error($"{Current} stands where the tag should end.");
        _at++;
    }

    /// <summary>Which of those names stand between two positions.</summary>
    public string[] Names(int from, int to, params string[] names) =>
        [.. names.Where(name => tokens.Skip(from).Take(to - from).Any(token => token.Is(TokenKind.Name, name)))];

    public JinjaException Error(string message, JinjaFault fault = JinjaFault.Syntax, int at = 0) =>
        new(message, fault, at > 0 ? at : Line);
}
