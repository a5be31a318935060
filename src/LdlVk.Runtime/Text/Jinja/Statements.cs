namespace LdlVk.Runtime.Text.Jinja;

/// <summary>How a statement of a loop's body ended.</summary>
internal enum Flow
{
    Next,
    Continue,
    Break,
}

/// <summary>A part of a template that prints or sets.</summary>
internal abstract class Statement(int line)
{
    public int Line => line;

    public abstract Flow Execute(Scope scope, MarkedTextBuilder output);
}

internal sealed class Block(Statement[] statements)
{
    public Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        RenderState.Descend();
        foreach (Statement statement in statements)
        {
            try
            {
                scope.State.Step();
                if (statement.Execute(scope, output) is var flow and not Flow.Next) return flow;
            }
            catch (JinjaException e) when (e.Line == 0)
            {
                throw e.At(statement.Line);
            }
        }

        return Flow.Next;
    }

    /// <summary>What the block prints.</summary>
    public MarkedText Print(Scope scope)
    {
        MarkedTextBuilder output = new();
        Execute(scope, output);
        return scope.State.Made(output.ToText());
    }
}

internal sealed class Data(int line, string text) : Statement(line)
{
    private readonly MarkedText _text = MarkedText.OfTemplate(text);

    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        output.Append(scope.State.Made(_text));
        return Flow.Next;
    }
}

internal sealed class Print(int line, Expression value) : Statement(line)
{
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        output.Append(scope.State.Made(PythonText.Of(scope.State, value.Evaluate(scope))));
        return Flow.Next;
    }
}

internal sealed class If(int line, (Expression Condition, Block Then)[] branches, Block? otherwise) : Statement(line)
{
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        foreach ((Expression condition, Block then) in branches)
            if (condition.IsTrue(scope)) return then.Execute(scope, output);
        return otherwise?.Execute(scope, output) ?? Flow.Next;
    }
}

internal sealed class For(int line, Target target, Expression over, Expression? filter, bool recursive, Block body, Block? otherwise)
    : Statement(line)
{
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        Run(scope, over.Evaluate(scope), output, depth: 1);
        return Flow.Next;
    }

    private void Run(Scope scope, object value, MarkedTextBuilder output, int depth)
    {
        RenderState.Descend();
        List<object> items = [];
        foreach (object item in Python.Iterate(value))
        {
            scope.State.Spend(2);
            if (filter is not null)
            {
                Scope tried = new(scope, scope.State);
                target.Assign(tried, item);
                if (!filter.IsTrue(tried)) continue;
            }

            items.Add(item);
        }

        LoopValue loop = new(items, depth, recursive ? Again : null);
        for (int i = 0; i < items.Count; i++)
        {
            Scope turn = new(scope, scope.State);
            loop.Index = i;
            turn.Set("loop", loop);
            target.Assign(turn, items[i]);
            if (body.Execute(turn, output) == Flow.Break) break;
        }

        if (items.Count == 0) otherwise?.Execute(new(scope, scope.State), output);

        object Again(RenderState state, Arguments arguments)
        {
            MarkedTextBuilder inner = new();
            Run(scope, arguments.Only("iterable").Required(0, "iterable"), inner, depth + 1);
            return state.Made(inner.ToText());
        }
    }
}

/// <summary>The variable <c>loop</c> of a loop.</summary>
internal sealed class LoopValue(List<object> items, int depth, Func<RenderState, Arguments, object>? again)
{
    private object? _seen;

    public int Index { get; set; }

    public Function? Recursion { get; } = again is null ? null : new Function("loop", again);

    public object? Find(string name) => name switch
    {
        "index" => Index + 1L,
        "index0" => (long)Index,
        "revindex" => (long)(items.Count - Index),
        "revindex0" => (long)(items.Count - Index - 1),
        "first" => Python.Of(Index == 0),
        "last" => Python.Of(Index == items.Count - 1),
        "length" => (long)items.Count,
        "depth" => (long)depth,
        "depth0" => depth - 1L,
        "previtem" => Index > 0 ? items[Index - 1] : new Undefined("the item before the first"),
        "nextitem" => Index + 1 < items.Count ? items[Index + 1] : new Undefined("the item behind the last"),
        "cycle" => new Function("loop.cycle", (_, arguments) => arguments.Positional.Count > 0
            ? arguments.Positional[Index % arguments.Positional.Count]
            : throw new JinjaException("loop.cycle needs items.")),
        "changed" => new Function("loop.changed", (state, arguments) =>
        {
            ListValue now = new(arguments.Positional, ListKind.Tuple);
            bool changed = _seen is null || !Equality.AreEqual(state, _seen, now);
            _seen = now;
            return Python.Of(changed);
        }),
        _ => null,
    };
}

internal sealed class Jump(int line, Flow flow) : Statement(line)
{
    public override Flow Execute(Scope scope, MarkedTextBuilder output) => flow;
}

internal sealed class Set(int line, Target target, Expression value) : Statement(line)
{
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        target.Assign(scope, value.Evaluate(scope));
        return Flow.Next;
    }
}

/// <summary><c>{% set name %}…{% endset %}</c>, and <c>{% filter … %}</c> where there is no target.</summary>
internal sealed class Capture(int line, Target? target, Filter[] filters, Block body) : Statement(line)
{
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        object value = body.Print(new(scope, scope.State));
        foreach (Filter filter in filters) value = filter.Apply(scope, value);
        if (target is not null) target.Assign(scope, value);
        else output.Append(PythonText.Of(scope.State, value));
        return Flow.Next;
    }
}

/// <summary><c>{% with name = value %}</c>, and <c>{% generation %}</c>, which has no names.</summary>
internal sealed class With(int line, (Target Target, Expression Value)[] names, Block body) : Statement(line)
{
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        Scope inner = new(scope, scope.State);
        foreach ((Target target, Expression value) in names) target.Assign(inner, value.Evaluate(scope));
        return body.Execute(inner, output);
    }
}

/// <summary>The parameters and body of a macro, or of what <c>{% call %}</c> gives as <c>caller</c>.</summary>
/// <param name="name">The macro's name.</param>
/// <param name="parameters">Names, and what stands for an argument that is not given.</param>
/// <param name="body">What it prints.</param>
/// <param name="specials">Which of <c>varargs</c>, <c>kwargs</c> and <c>caller</c> the body names: it takes those arguments alone.</param>
internal sealed class MacroBody(string name, (string Name, Expression? Default)[] parameters, Block body, string[] specials)
{
    public Function In(Scope defined) => new(name, (state, arguments) =>
    {
        RenderState.Descend();
        Scope scope = new(defined, state);
        List<object> rest = [.. arguments.Positional.Skip(parameters.Length)];
        if (rest.Count > 0 && !specials.Contains("varargs"))
            throw new JinjaException($"{name} takes {parameters.Length} arguments, not {arguments.Positional.Count}.");
        DictValue others = new();
        foreach ((string key, object value) in arguments.Named)
        {
            int index = Array.FindIndex(parameters, p => p.Name == key);
            if (index >= 0 && index < arguments.Positional.Count) throw new JinjaException($"{name} got its argument \"{key}\" twice.");
            if (index >= 0) continue;
            if (key == "caller" && specials.Contains("caller")) scope.Set(key, value);
            else if (specials.Contains("kwargs")) others.Set(key, value);
            else throw new JinjaException($"{name} has no argument \"{key}\".");
        }

        if (specials.Contains("varargs")) scope.Set("varargs", new ListValue(rest, ListKind.Tuple));
        if (specials.Contains("kwargs")) scope.Set("kwargs", others);
        for (int i = 0; i < parameters.Length; i++)
        {
            (string key, Expression? otherwise) = parameters[i];
            scope.Set(key, arguments.Find(i, key) ?? otherwise?.Evaluate(scope) ?? new Undefined($"the parameter \"{key}\" of {name}"));
        }

        return body.Print(scope);
    });
}

internal sealed class Macro(int line, string name, MacroBody macro) : Statement(line)
{
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        scope.Set(name, macro.In(scope));
        return Flow.Next;
    }
}

/// <summary><c>{% call macro(…) %}…{% endcall %}</c>.</summary>
internal sealed class CallBlock(int line, Call call, MacroBody caller) : Statement(line)
{
    public override Flow Execute(Scope scope, MarkedTextBuilder output)
    {
        object printed = call.With(scope, new("caller", caller.In(scope)));
        output.Append(PythonText.Of(scope.State, printed));
        return Flow.Next;
    }
}

/// <summary>What a value is assigned to: a name, several, or an attribute of a namespace.</summary>
internal sealed class Target(int line, string? name, string? attribute, Target[] parts)
{
    public void Assign(Scope scope, object value)
    {
        if (attribute is not null)
        {
            if (scope.Find(name!) is not Namespace space)
                throw new JinjaException($"\"{name}.{attribute}\" is set, but \"{name}\" is not a namespace.", line: line);
            space.Attributes[attribute] = value;
        }
        else if (name is not null)
        {
            scope.Set(name, value);
        }
        else
        {
            object[] items = [.. Python.Iterate(value).Take(parts.Length + 1)];
            if (items.Length != parts.Length)
                throw new JinjaException($"{parts.Length} names are set, and there is another number of values.", line: line);
            for (int i = 0; i < items.Length; i++) parts[i].Assign(scope, items[i]);
        }
    }
}
