namespace LdlVk.Runtime.Text.Jinja;

internal enum TokenKind
{
    /// <summary>Text outside tags.</summary>
    Data,

    /// <summary><c>{{</c>.</summary>
    PrintBegin,

    /// <summary><c>}}</c>.</summary>
    PrintEnd,

    /// <summary><c>{%</c>.</summary>
    BlockBegin,

    /// <summary><c>%}</c>.</summary>
    BlockEnd,
    Name,
    Integer,
    Float,
    String,
    Operator,
    End,
}

/// <summary>A token of a template: its text (of a string literal, the string that it means) and its line, counted from 1.</summary>
internal readonly record struct Token(TokenKind Kind, string Text, int Line)
{
    public bool Is(TokenKind kind, string text) => Kind == kind && Text == text;

    public override string ToString() => Kind == TokenKind.End ? "the end of the template" : Shown.Quoted(Text);
}
