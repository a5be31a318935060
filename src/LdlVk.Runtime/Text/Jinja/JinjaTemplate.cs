namespace LdlVk.Runtime.Text.Jinja;

/// <summary>
/// A chat template: a program in Jinja, with the settings and functions that transformers gives it (<c>render_jinja_template</c> in
/// transformers/utils/chat_template_utils.py; semantics of Jinja2 3.1). It computes a text and reaches nothing outside: no file, no clock,
/// no attribute of a .NET object. Its work is limited (<see cref="RenderState"/>).
/// </summary>
internal sealed class JinjaTemplate
{
    /// <summary>Work for a short conversation; each character of the variables adds <see cref="WorkPerCharacter"/>.</summary>
    private const long Work = 10_000_000, WorkPerCharacter = 20;

    private readonly Block _body;

    /// <summary>Parses a template.</summary>
    /// <exception cref="JinjaException">It is not Jinja, or uses a part that is not here; with the line.</exception>
    public JinjaTemplate(string source) => _body = StatementParser.Parse(source);

    /// <summary>
    /// The tokens of a template in order, as one text: templates with the same tokens print the same, whatever white space that prints
    /// nothing
    /// stands in them.
    /// </summary>
    /// <returns>The text; null if the source is not Jinja.</returns>
    public static string? Canonical(string source)
    {
        try
        {
            return string.Concat(Lexer.Read(source).Select(token => $"{token.Kind} {token.Text.Length} {token.Text}\n"));
        }
        catch (JinjaException)
        {
            return null;
        }
    }

    /// <summary>Renders variables.</summary>
    /// <param name="variables">What the template sees, by name.</param>
    /// <param name="characters">Number of characters of the variables: longer ones may cost more.</param>
    /// <param name="now">The date that <c>strftime_now</c> prints.</param>
    /// <returns>The text, and whether it holds the date.</returns>
    /// <exception cref="JinjaException">The template refuses the variables, fails, or does not end.</exception>
    public (MarkedText Text, bool HasDate) Render(IEnumerable<KeyValuePair<string, object>> variables, long characters, DateTime now)
    {
        RenderState state = new(now, Work + (characters * WorkPerCharacter));
        Scope scope = new(null, state);
        foreach ((string name, object value) in variables) scope.Set(name, value);
        MarkedTextBuilder output = new();
        _body.Execute(new(scope, state), output);
        return (output.ToText(), state.HasPrintedDate);
    }
}
