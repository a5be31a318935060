using System.Globalization;

namespace LdlVk.Runtime.Text.Jinja;

/// <summary>Parses expressions with the precedence of Jinja2's own parser.</summary>
internal sealed class ExpressionParser(TokenReader tokens)
{
    private const int MaxNesting = 100;

    private static readonly string[] Comparisons = ["==", "!=", "<", "<=", ">", ">="];

    private int _nesting;

    /// <summary>One expression, or a tuple without parentheses.</summary>
    public Expression Tuple(bool withConditional = true, Func<bool>? ends = null)
    {
        int line = tokens.Line;
        Expression first = Expression(withConditional);
        if (!tokens.IsOperator(",")) return first;
        List<Expression> items = [first];
        while (tokens.Skip(","))
        {
            if (tokens.IsAtEndOfTag || tokens.IsOperator("=") || ends?.Invoke() == true) break;
            items.Add(Expression(withConditional));
        }

        return new ListLiteral(line, [.. items], ListKind.Tuple);
    }

    public Expression Expression(bool withConditional = true)
    {
        Descend();
        Expression value = Or();
        while (withConditional && tokens.SkipName("if"))
        {
            int line = tokens.Line;
            Expression condition = Or();
            value = new Conditional(line, condition, value, tokens.SkipName("else") ? Expression() : null);
        }

        _nesting--;
        return value;
    }

    private void Descend()
    {
        if (++_nesting > MaxNesting)
            throw tokens.Error($"An expression is nested more than {MaxNesting} levels deep.", JinjaFault.Limit);
    }

    private Expression Or()
    {
        Expression left = And();
        while (tokens.SkipName("or")) left = new Or(tokens.Line, left, And());
        return left;
    }

    private Expression And()
    {
        Expression left = Not();
        while (tokens.SkipName("and")) left = new And(tokens.Line, left, Not());
        return left;
    }

    private Expression Not()
    {
        int line = tokens.Line, count = 0;
        while (tokens.SkipName("not")) count++;
        Expression value = Comparison();
        while (count-- > 0) value = new Not(line, value);
        return value;
    }

    private Expression Comparison()
    {
        int line = tokens.Line;
        Expression first = Sum();
        List<(string, Expression)> rest = [];
        while (true)
        {
            bool isComparison = tokens.Current.Kind == TokenKind.Operator && Comparisons.Contains(tokens.Current.Text);
            if (isComparison) rest.Add((tokens.Next().Text, Sum()));
            else if (tokens.SkipName("in")) rest.Add(("in", Sum()));
            else if (tokens.IsName("not") && tokens.IsNameAhead("in"))
            {
                tokens.Next();
                tokens.Next();
                rest.Add(("not in", Sum()));
            }
            else return rest.Count == 0 ? first : new Comparison(line, first, [.. rest]);
        }
    }

    private Expression Sum() => Chain(Concatenation, "+", "-");

    private Expression Concatenation() => Chain(Product, "~");

    private Expression Product() => Chain(Power, "*", "/", "//", "%");

    private Expression Power() => Chain(() => Unary(), "**");

    private Expression Chain(Func<Expression> operand, params ReadOnlySpan<string> operators)
    {
        Expression left = operand();
        while (tokens.Current.Kind == TokenKind.Operator && operators.Contains(tokens.Current.Text))
        {
            Token operation = tokens.Next();
            left = new Binary(operation.Line, operation.Text, left, operand());
        }

        return left;
    }

    private Expression Unary(bool withFilter = true)
    {
        int line = tokens.Line;
        Expression value;
        if (tokens.IsOperator("-") || tokens.IsOperator("+"))
        {
            Descend();
            value = new Unary(line, tokens.Next().Text, Unary(withFilter: false));
            _nesting--;
        }
        else value = Primary();

        value = Postfix(value);
        return withFilter ? FiltersAndTests(value) : value;
    }

    private Expression Primary()
    {
        Token token = tokens.Next();
        switch (token.Kind)
        {
            case TokenKind.Name:
                return token.Text switch
                {
                    "true" or "True" => new Constant(token.Line, Python.True),
                    "false" or "False" => new Constant(token.Line, Python.False),
                    "none" or "None" => new Constant(token.Line, None.Value),
                    _ => new Name(token.Line, token.Text),
                };
            case TokenKind.String:
                string text = token.Text;
                while (tokens.Current.Kind == TokenKind.String) text += tokens.Next().Text;
                return new Constant(token.Line, MarkedText.OfTemplate(text));
            case TokenKind.Integer:
                return new Constant(token.Line, long.TryParse(token.Text, CultureInfo.InvariantCulture, out long n)
                    ? n : throw tokens.Error($"{token.Text} is larger than 64 bits hold.", at: token.Line));
            case TokenKind.Float: return new Constant(token.Line, double.Parse(token.Text, CultureInfo.InvariantCulture));
            case TokenKind.Operator when token.Text == "(":
                if (tokens.Skip(")")) return new ListLiteral(token.Line, [], ListKind.Tuple);
                Expression inner = Tuple(ends: () => tokens.IsOperator(")"));
                tokens.Expect(")");
                return inner;
            case TokenKind.Operator when token.Text == "[":
                return new ListLiteral(token.Line, [.. Items("]", () => Expression())], ListKind.List);
            case TokenKind.Operator when token.Text == "{":
                return new DictLiteral(token.Line, [.. Items("}", () =>
                {
                    Expression key = Expression();
                    tokens.Expect(":");
                    return (key, Expression());
                })]);
            default: throw tokens.Error($"{token} stands where a value is expected.", at: token.Line);
        }
    }

    private List<T> Items<T>(string close, Func<T> item)
    {
        List<T> items = [];
        while (!tokens.Skip(close))
        {
            if (items.Count > 0)
            {
                tokens.Expect(",");
                if (tokens.Skip(close)) break;
            }

            items.Add(item());
        }

        return items;
    }

    private Expression Postfix(Expression value)
    {
        while (true)
        {
            int line = tokens.Line;
            if (tokens.Skip("."))
            {
                Token name = tokens.Next();
                value = name.Kind switch
                {
                    TokenKind.Name => new Attribute(line, value, name.Text),
                    TokenKind.Integer =>
                        new Subscript(line, value, new Constant(line, long.Parse(name.Text, CultureInfo.InvariantCulture))),
                    _ => throw tokens.Error($"{name} stands where the name of an attribute is expected.", at: line),
                };
            }
            else if (tokens.Skip("[")) value = InBrackets(line, value);
            else if (tokens.IsOperator("(")) value = new Call(line, value, Arguments());
            else return value;
        }
    }

    private Expression InBrackets(int line, Expression of)
    {
        List<Expression> indices = [];
        Expression? slice = null;
        do
        {
            Expression? start = tokens.IsOperator(":") ? null : Expression();
            if (tokens.Skip(":"))
            {
                Expression? stop = IsOmitted() ? null : Expression(), step = tokens.Skip(":") && !IsOmitted() ? Expression() : null;
                slice = new Slice(line, of, start, stop, step);
            }
            else indices.Add(start!);
        }
        while (tokens.Skip(",") && !tokens.IsOperator("]"));

        tokens.Expect("]");
        if (slice is not null) return indices.Count == 0 ? slice : throw tokens.Error("A slice stands beside other indices.");
        return new Subscript(line, of, indices is [var index] ? index : new ListLiteral(line, [.. indices], ListKind.Tuple));

        bool IsOmitted() => tokens.IsOperator(":") || tokens.IsOperator("]") || tokens.IsOperator(",");
    }

    public CallArguments Arguments()
    {
        tokens.Expect("(");
        List<Expression> positional = [];
        List<(string, Expression)> named = [];
        Expression? list = null, dict = null;
        Items(")", () =>
        {
            if (tokens.Skip("**")) dict = Expression();
            else if (tokens.Skip("*")) list = Expression();
            else if (tokens.Current.Kind == TokenKind.Name && tokens.IsOperatorAhead("="))
            {
                string name = tokens.Next().Text;
                tokens.Next();
                named.Add((name, Expression()));
            }
            else
            {
                if (named.Count > 0 || list is not null || dict is not null)
                    throw tokens.Error("An argument without a name stands behind one with a name.");
                positional.Add(Expression());
            }

            return 0;
        });
        return new([.. positional], [.. named], list, dict);
    }

    private Expression FiltersAndTests(Expression value)
    {
        while (true)
        {
            int line = tokens.Line;
            if (tokens.IsOperator("|")) value = Filter(value);
            else if (tokens.SkipName("is")) value = Test(line, value);
            else if (tokens.IsOperator("(")) value = new Call(line, value, Arguments());
            else return value;
        }
    }

    /// <summary><c>| name(arguments)</c>; of null, the filter of a block.</summary>
    public Filter Filter(Expression? of)
    {
        tokens.Expect("|");
        return FilterName(of);
    }

    public Filter FilterName(Expression? of)
    {
        int line = tokens.Line;
        string name = Dotted();
        return new(line, of, name, tokens.IsOperator("(") ? Arguments() : new([], [], null, null));
    }

    private Expression Test(int line, Expression of)
    {
        bool negated = tokens.SkipName("not");
        string name = Dotted();
        CallArguments arguments = new([], [], null, null);
        if (tokens.IsOperator("(")) arguments = Arguments();
        else if (StartsOperand()) arguments = new([Postfix(Primary())], [], null, null);
        Expression test = new Test(line, of, name, arguments);
        return negated ? new Not(line, test) : test;

        bool StartsOperand()
        {
            if (tokens.IsName("is")) throw tokens.Error("Tests are not chained with \"is\"; use \"and\".");
            return tokens.Current.Kind is TokenKind.String or TokenKind.Integer or TokenKind.Float || tokens.IsOperator("[")
                || tokens.IsOperator("{")
                || (tokens.Current.Kind == TokenKind.Name && tokens.Current.Text is not ("else" or "or" or "and" or "if" or "in" or "not"));
        }
    }

    private string Dotted()
    {
        string name = tokens.ExpectName();
        while (tokens.Skip(".")) name += "." + tokens.ExpectName();
        return name;
    }
}
