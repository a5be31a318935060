namespace LdlVk.Runtime.Text.Jinja;

/// <summary>A part of a template that has a value.</summary>
internal abstract class Expression
{
    /// <summary>A tree that is deeper could end the stack.</summary>
    private const int MaxDepth = 200;

    private readonly int _depth;

    protected Expression(int line, params ReadOnlySpan<Expression?> parts)
    {
        Line = line;
        foreach (Expression? part in parts) _depth = Math.Max(_depth, (part?._depth ?? 0) + 1);
        if (_depth > MaxDepth)
            throw new JinjaException($"An expression is nested more than {MaxDepth} levels deep.", JinjaFault.Limit, line);
    }

    public int Line { get; }

    public object Evaluate(Scope scope)
    {
        scope.State.Step();
        return Value(scope);
    }

    public bool IsTrue(Scope scope) => Python.IsTrue(Evaluate(scope));

    protected abstract object Value(Scope scope);
}

internal sealed class Constant(int line, object value) : Expression(line)
{
    protected override object Value(Scope scope) => value;
}

internal sealed class Name(int line, string text) : Expression(line)
{
    public string Text => text;

    protected override object Value(Scope scope) => scope.Find(text);
}

internal sealed class ListLiteral(int line, Expression[] items, ListKind kind) : Expression(line, items)
{
    public IReadOnlyList<Expression> Items => items;

    public ListKind Kind => kind;

    protected override object Value(Scope scope)
    {
        object[] values = new object[items.Length];
        for (int i = 0; i < values.Length; i++) values[i] = items[i].Evaluate(scope);
        return scope.State.Made(new ListValue(values, kind));
    }
}

internal sealed class DictLiteral(int line, (Expression Key, Expression Value)[] items)
    : Expression(line, [.. items.Select(i => i.Key), .. items.Select(i => i.Value)])
{
    protected override object Value(Scope scope)
    {
        DictValue dict = new();
        foreach ((Expression key, Expression value) in items) dict.Set(key.Evaluate(scope), value.Evaluate(scope));
        scope.State.Spend(items.Length * 8L);
        return dict;
    }
}

/// <summary><c>of.name</c>: an attribute (a method, of a namespace or a loop its values), else the item of that name.</summary>
internal sealed class Attribute(int line, Expression of, string name) : Expression(line, of)
{
    public Expression Of => of;

    public string Name => name;

    protected override object Value(Scope scope)
    {
        object value = of.Evaluate(scope);
        return Methods.Find(value, name) ?? Python.Item(value, MarkedText.OfTemplate(name))
            ?? new Undefined($"\"{name}\" of {Python.TypeOf(value)}");
    }
}

/// <summary><c>of[index]</c>: an item, else the attribute of that name.</summary>
internal sealed class Subscript(int line, Expression of, Expression index) : Expression(line, of, index)
{
    protected override object Value(Scope scope)
    {
        object value = of.Evaluate(scope), at = index.Evaluate(scope);
        return Python.Item(value, at) ?? (at is MarkedText name ? Methods.Find(value, name.Value) : null)
            ?? new Undefined($"{Shown.Short(PythonText.Of(scope.State, new ListValue([at])).Value)} of {Python.TypeOf(value)}");
    }
}

internal sealed class Slice(int line, Expression of, Expression? start, Expression? stop, Expression? step)
    : Expression(line, of, start, stop, step)
{
    protected override object Value(Scope scope) =>
        Python.Slice(scope.State, of.Evaluate(scope), start?.Evaluate(scope), stop?.Evaluate(scope), step?.Evaluate(scope));
}

internal sealed class CallArguments(Expression[] positional, (string Name, Expression Value)[] named, Expression? list, Expression? dict)
{
    public ReadOnlySpan<Expression?> Parts => (Expression?[])[.. positional, .. named.Select(n => n.Value), list, dict];

    public Arguments Evaluate(Scope scope, string of, KeyValuePair<string, object>? extra = null)
    {
        List<object> values = new(positional.Length);
        foreach (Expression expression in positional) values.Add(expression.Evaluate(scope));
        if (list is not null) values.AddRange(Python.List(scope.State, list.Evaluate(scope)).Items);
        List<KeyValuePair<string, object>> names = [];
        foreach ((string name, Expression value) in named) names.Add(new(name, value.Evaluate(scope)));
        if (dict is not null)
        {
            if (dict.Evaluate(scope) is not DictValue items) throw new JinjaException($"{of}: what stands behind ** is not a dict.");
            foreach ((object key, object value) in items.Items)
            {
                string name = (key as MarkedText)?.Value ?? throw new JinjaException($"{of}: a name behind ** is not a string.");
                names.Add(new(name, value));
            }
        }

        if (extra is { } pair) names.Add(pair);
        return new(of, values, names);
    }
}

internal sealed class Call(int line, Expression function, CallArguments arguments) : Expression(line, [function, .. arguments.Parts])
{
    protected override object Value(Scope scope) => With(scope, null);

    /// <summary>Calls with one more argument by name, <c>caller</c>.</summary>
    public object With(Scope scope, KeyValuePair<string, object>? extra)
    {
        object value = function.Evaluate(scope);
        if (value is Undefined undefined) throw undefined.Error();
        Function callee = value as Function ?? (value as LoopValue)?.Recursion
            ?? throw new JinjaException($"{Python.TypeOf(value)} cannot be called.");
        try
        {
            return callee.Call(scope.State, arguments.Evaluate(scope, callee.Name, extra));
        }
        catch (JinjaException e) when (e.Line == 0) // a second throw at each level of a recursion would end the stack
        {
            throw e.At(Line);
        }
    }
}

internal sealed class Filter(int line, Expression? of, string name, CallArguments arguments) : Expression(line, [of, .. arguments.Parts])
{
    protected override object Value(Scope scope) => Apply(scope, of!.Evaluate(scope));

    /// <summary>Applies the filter to a value.</summary>
    public object Apply(Scope scope, object value)
    {
        try
        {
            return Filters.Apply(scope.State, name, value, arguments.Evaluate(scope, name));
        }
        catch (JinjaException e) when (e.Line == 0) // a second throw at each level of a recursion would end the stack
        {
            throw e.At(Line);
        }
    }
}

/// <summary><c>of is name(arguments)</c>.</summary>
internal sealed class Test(int line, Expression of, string name, CallArguments arguments) : Expression(line, [of, .. arguments.Parts])
{
    protected override object Value(Scope scope) =>
        Python.Of(Tests.Passes(scope.State, name, of.Evaluate(scope), arguments.Evaluate(scope, name)));
}

internal sealed class Not(int line, Expression of) : Expression(line, of)
{
    protected override object Value(Scope scope) => Python.Of(!of.IsTrue(scope));
}

internal sealed class And(int line, Expression a, Expression b) : Expression(line, a, b)
{
    protected override object Value(Scope scope) => a.Evaluate(scope) is var first && Python.IsTrue(first) ? b.Evaluate(scope) : first;
}

internal sealed class Or(int line, Expression a, Expression b) : Expression(line, a, b)
{
    protected override object Value(Scope scope) => a.Evaluate(scope) is var first && Python.IsTrue(first) ? first : b.Evaluate(scope);
}

internal sealed class Conditional(int line, Expression condition, Expression then, Expression? otherwise)
    : Expression(line, condition, then, otherwise)
{
    protected override object Value(Scope scope) => condition.IsTrue(scope)
        ? then.Evaluate(scope)
        : otherwise?.Evaluate(scope) ?? new Undefined("the value of an \"if\" without \"else\"");
}

internal sealed class Unary(int line, string operation, Expression of) : Expression(line, of)
{
    protected override object Value(Scope scope) =>
        operation == "-" ? Operators.Negate(of.Evaluate(scope)) : Operators.Plus(of.Evaluate(scope));
}

internal sealed class Binary(int line, string operation, Expression a, Expression b) : Expression(line, a, b)
{
    protected override object Value(Scope scope)
    {
        object x = a.Evaluate(scope), y = b.Evaluate(scope);
        RenderState state = scope.State;
        return operation switch
        {
            "+" => Operators.Add(state, x, y),
            "-" => Operators.Subtract(x, y),
            "*" => Operators.Multiply(state, x, y),
            "/" => Operators.Divide(x, y),
            "//" => Operators.FloorDivide(x, y),
            "%" => Operators.Modulo(state, x, y),
            "**" => Operators.Power(x, y),
            _ => state.Made(PythonText.Of(state, x).Append(PythonText.Of(state, y))), // ~
        };
    }
}

/// <summary><c>a == b &lt; c …</c>: true if each neighbor is.</summary>
internal sealed class Comparison(int line, Expression first, (string Operation, Expression Right)[] rest)
    : Expression(line, [first, .. rest.Select(r => r.Right)])
{
    protected override object Value(Scope scope)
    {
        object left = first.Evaluate(scope);
        foreach ((string operation, Expression expression) in rest)
        {
            object right = expression.Evaluate(scope);
            if (!Holds(scope.State, operation, left, right)) return Python.False;
            left = right;
        }

        return Python.True;
    }

    private static bool Holds(RenderState state, string operation, object a, object b) => operation switch
    {
        "==" => Equality.AreEqual(state, a, b),
        "!=" => !Equality.AreEqual(state, a, b),
        "in" => Operators.Contains(state, b, a),
        "not in" => !Operators.Contains(state, b, a),
        "<" => Equality.Compare(state, a, b) < 0,
        "<=" => Equality.Compare(state, a, b) <= 0,
        ">" => Equality.Compare(state, a, b) > 0,
        _ => Equality.Compare(state, a, b) >= 0,
    };
}
