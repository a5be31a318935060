namespace LdlVk.Runtime.Text.Jinja;

/// <summary>Parses a template into its statements.</summary>
internal sealed class StatementParser
{
    private const int MaxNesting = 100;

    private readonly TokenReader _tokens;
    private readonly ExpressionParser _expressions;
    private int _nesting, _loops;

    private StatementParser(List<Token> tokens)
    {
        _tokens = new(tokens);
        _expressions = new(_tokens);
    }

    public static Block Parse(string source)
    {
        StatementParser parser = new(Lexer.Read(source));
        Block block = parser.Body();
        return parser._tokens.Current.Kind == TokenKind.End
            ? block : throw parser._tokens.Error($"{parser._tokens.Current} closes no block.");
    }

    /// <summary>Statements up to a tag that is one of those, whose name is the current token then; up to the end, without any.</summary>
    private Block Body(params ReadOnlySpan<string> ends)
    {
        if (++_nesting > MaxNesting) throw _tokens.Error($"Blocks are nested more than {MaxNesting} levels deep.", JinjaFault.Limit);
        int opened = _tokens.Line;
        List<Statement> statements = [];
        while (true)
        {
            Token token = _tokens.Next();
            switch (token.Kind)
            {
                case TokenKind.Data:
                    statements.Add(new Data(token.Line, token.Text));
                    break;
                case TokenKind.PrintBegin:
                    statements.Add(new Print(token.Line, _expressions.Tuple()));
                    _tokens.Expect(TokenKind.PrintEnd);
                    break;
                case TokenKind.BlockBegin:
                    if (_tokens.Current.Kind == TokenKind.Name && ends.Contains(_tokens.Current.Text))
                    {
                        _nesting--;
                        return new([.. statements]);
                    }

                    statements.Add(Statement(token.Line));
                    break;
                default:
                    if (ends.Length > 0) throw _tokens.Error($"The block of line {opened} is not closed by {{% {ends[^1]} %}}.");
                    _nesting--;
                    return new([.. statements]);
            }
        }
    }

    private Statement Statement(int line)
    {
        string name = _tokens.ExpectName();
        switch (name)
        {
            case "if": return If(line);
            case "for": return For(line);
            case "set": return Set(line);
            case "macro": return Macro(line);
            case "call": return CallBlock(line);
            case "with": return With(line);
            case "filter":
                List<Filter> filters = [_expressions.FilterName(null)];
                while (_tokens.IsOperator("|")) filters.Add(_expressions.Filter(null));
                return new Capture(line, null, [.. filters], Enclosed("endfilter"));
            case "generation": return new With(line, [], Enclosed("endgeneration")); // marks what the assistant wrote, for training
            case "break" or "continue":
                if (_loops == 0) throw _tokens.Error($"{name} stands outside a loop.");
                EndTag();
                return new Jump(line, name == "break" ? Flow.Break : Flow.Continue);
            default:
                throw _tokens.Error(name.StartsWith("end", StringComparison.Ordinal) || name is "else" or "elif"
                    ? $"{{% {name} %}} closes no block." : $"The tag {Shown.Quoted(name)} is not known here.");
        }
    }

    private void EndTag() => _tokens.Expect(TokenKind.BlockEnd);

    /// <summary>The rest of the tag, the block, and the tag that closes it.</summary>
    private Block Enclosed(string end)
    {
        EndTag();
        Block body = Body(end);
        _tokens.Next();
        EndTag();
        return body;
    }

    private If If(int line)
    {
        List<(Expression, Block)> branches = [];
        Block? otherwise = null;
        string name;
        do
        {
            Expression condition = _expressions.Tuple(withConditional: false);
            EndTag();
            branches.Add((condition, Body("elif", "else", "endif")));
            name = _tokens.Next().Text;
        }
        while (name == "elif");

        if (name == "else")
        {
            otherwise = Enclosed("endif");
            return new(line, [.. branches], otherwise);
        }

        EndTag();
        return new(line, [.. branches], otherwise);
    }

    private For For(int line)
    {
        Target target = Targets(withAttribute: false);
        if (!_tokens.SkipName("in")) throw _tokens.Error($"{_tokens.Current} stands where \"in\" is expected.");
        Expression over = _expressions.Tuple(withConditional: false, ends: () => _tokens.IsName("recursive"));
        Expression? filter = _tokens.SkipName("if") ? _expressions.Expression() : null;
        bool recursive = _tokens.SkipName("recursive");
        EndTag();
        _loops++;
        Block body = Body("else", "endfor");
        _loops--;
        bool hasElse = _tokens.Next().Text == "else";
        if (hasElse) return new(line, target, over, filter, recursive, body, Enclosed("endfor"));
        EndTag();
        return new(line, target, over, filter, recursive, body, null);
    }

    private Statement Set(int line)
    {
        Target target = Targets(withAttribute: true);
        if (_tokens.Skip("="))
        {
            Expression value = _expressions.Tuple();
            EndTag();
            return new Set(line, target, value);
        }

        List<Filter> filters = [];
        while (_tokens.IsOperator("|")) filters.Add(_expressions.Filter(null));
        return new Capture(line, target, [.. filters], Enclosed("endset"));
    }

    private Target Targets(bool withAttribute)
    {
        int line = _tokens.Line;
        List<Target> targets = [Part()];
        bool many = false;
        while (_tokens.Skip(","))
        {
            many = true;
            if (_tokens.IsName("in") || _tokens.IsOperator("=") || _tokens.IsOperator(")") || _tokens.IsAtEndOfTag) break;
            targets.Add(Part());
        }

        return many ? new(line, null, null, [.. targets]) : targets[0];

        Target Part()
        {
            if (!_tokens.Skip("(")) return Single(withAttribute);
            if (++_nesting > MaxNesting) throw _tokens.Error($"Names are nested more than {MaxNesting} levels deep.", JinjaFault.Limit);
            Target inner = Targets(withAttribute);
            _nesting--;
            _tokens.Expect(")");
            return inner;
        }
    }

    private Target Single(bool withAttribute)
    {
        int line = _tokens.Line;
        string name = _tokens.ExpectName();
        if (name is "true" or "false" or "none" or "True" or "False" or "None") throw _tokens.Error($"\"{name}\" cannot be set.");
        return new(line, name, withAttribute && _tokens.Skip(".") ? _tokens.ExpectName() : null, []);
    }

    private Macro Macro(int line)
    {
        string name = _tokens.ExpectName();
        (string, Expression?)[] parameters = _tokens.IsOperator("(") ? Parameters() : [];
        return new(line, name, MacroBody(name, parameters, "endmacro"));
    }

    private MacroBody MacroBody(string name, (string, Expression?)[] parameters, string end)
    {
        int from = _tokens.Position, loops = _loops;
        _loops = 0; // a break in a macro ends no loop around it
        Block body = Enclosed(end);
        _loops = loops;
        return new(name, parameters, body, _tokens.Names(from, _tokens.Position, "varargs", "kwargs", "caller"));
    }

    private (string, Expression?)[] Parameters()
    {
        _tokens.Expect("(");
        List<(string, Expression?)> parameters = [];
        while (!_tokens.Skip(")"))
        {
            if (parameters.Count > 0) _tokens.Expect(",");
            string name = _tokens.ExpectName();
            Expression? otherwise = _tokens.Skip("=") ? _expressions.Expression() : null;
            if (otherwise is null && parameters is [.., (_, not null)])
                throw _tokens.Error($"The parameter \"{name}\" without a default stands behind one with a default.");
            parameters.Add((name, otherwise));
        }

        return [.. parameters];
    }

    private CallBlock CallBlock(int line)
    {
        (string, Expression?)[] parameters = _tokens.IsOperator("(") ? Parameters() : [];
        if (_expressions.Expression() is not Call call) throw _tokens.Error("{% call %} is not followed by a call.");
        return new(line, call, MacroBody("caller", parameters, "endcall"));
    }

    private With With(int line)
    {
        List<(Target, Expression)> names = [];
        while (!_tokens.IsAtEndOfTag)
        {
            if (names.Count > 0) _tokens.Expect(",");
            Target target = Targets(withAttribute: false);
            _tokens.Expect("=");
            names.Add((target, _expressions.Expression()));
        }

        return new(line, [.. names], Enclosed("endwith"));
    }
}
