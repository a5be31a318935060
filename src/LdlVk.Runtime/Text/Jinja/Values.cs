using System.Collections;

namespace LdlVk.Runtime.Text.Jinja;

// A value of a template is one of: None, Undefined, bool, long, double, MarkedText, ListValue, DictValue, Generator, Namespace, LoopValue,
// Function.

/// <summary>Python's <c>None</c>.</summary>
internal sealed class None
{
    public static readonly None Value = new();
}

/// <summary>A name or an item that is not there. It prints nothing, is false and empty, and cannot be used otherwise.</summary>
/// <param name="What">What is not there, for the message.</param>
internal sealed record Undefined(string What)
{
    public JinjaException Error() => new($"{What} is undefined.");
}

internal enum ListKind
{
    List,
    Tuple,

    /// <summary>The keys, values or items of a dict, or a range: it has a length, and cannot be sliced or added.</summary>
    View,
}

/// <summary>A list, a tuple, or a view of a dict. Nothing changes it: the sandbox of transformers is immutable.</summary>
internal sealed class ListValue(IReadOnlyList<object> items, ListKind kind = ListKind.List)
{
    public IReadOnlyList<object> Items { get; } = items;

    public ListKind Kind { get; } = kind;
}

/// <summary>A dict, in the order of insertion.</summary>
internal sealed class DictValue
{
    public OrderedDictionary<object, object> Items { get; } = new(Equality.Keys);

    public object? Find(object key) => Items.TryGetValue(key, out object? value) ? value : null;

    /// <summary>Sets an item.</summary>
    /// <exception cref="JinjaException">The key is a list, a tuple or a dict.</exception>
    public DictValue Set(object key, object value)
    {
        Items[key] = value;
        return this;
    }

    public DictValue Set(string key, object value) => Set(MarkedText.OfTemplate(key), value);
}

/// <summary>What <c>namespace()</c> returns: the one object whose attributes a template sets.</summary>
internal sealed class Namespace
{
    public Dictionary<string, object> Attributes { get; } = new(StringComparer.Ordinal);
}

/// <summary>What Python calls a generator (of <c>map</c>, <c>select</c> and others): it is read once, has no length, and is true.</summary>
internal sealed class Generator(IEnumerable<object> items) : IEnumerable<object>
{
    private readonly IEnumerator<object> _items = items.GetEnumerator();

    public IEnumerator<object> GetEnumerator()
    {
        while (_items.MoveNext()) yield return _items.Current;
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>A function, a method of a value, or a macro.</summary>
internal sealed class Function(string name, Func<RenderState, Arguments, object> call)
{
    public string Name => name;

    public object Call(RenderState state, Arguments arguments) => call(state, arguments);
}

/// <summary>The arguments of a call.</summary>
internal sealed class Arguments(string of, IReadOnlyList<object> positional, IReadOnlyList<KeyValuePair<string, object>> named)
{
    public static readonly Arguments Nothing = new("", [], []);

    /// <summary>What is called, for messages.</summary>
    public string Of => of;

    public IReadOnlyList<object> Positional => positional;

    public IReadOnlyList<KeyValuePair<string, object>> Named => named;

    /// <summary>The argument at an index or of a name; null if it is not given.</summary>
    public object? Find(int index, string name)
    {
        if (index < positional.Count) return positional[index];
        foreach ((string key, object value) in named)
            if (key == name) return value;
        return null;
    }

    public object Required(int index, string name) => Find(index, name) ?? throw new JinjaException($"{of} needs an argument \"{name}\".");

    public MarkedText Text(int index, string name) => Required(index, name) as MarkedText
        ?? throw new JinjaException($"{of}: the argument \"{name}\" is {Python.TypeOf(Required(index, name))}, not a string.");

    public MarkedText? OptionalText(int index, string name) => Find(index, name) is null or None ? null : Text(index, name);

    public long Integer(int index, string name, long otherwise) => Find(index, name) switch
    {
        null => otherwise,
        long value => value,
        bool value => value ? 1 : 0,
        { } other => throw new JinjaException($"{of}: the argument \"{name}\" is {Python.TypeOf(other)}, not an integer."),
    };

    public bool Flag(int index, string name, bool otherwise = false) => Find(index, name) is { } value ? Python.IsTrue(value) : otherwise;

    /// <summary>Refuses arguments that are not among those.</summary>
    public Arguments Only(params ReadOnlySpan<string> names)
    {
        if (positional.Count > names.Length) throw new JinjaException($"{of} takes {names.Length} arguments, not {positional.Count}.");
        foreach ((string key, _) in named)
            if (names.IndexOf(key) < 0) throw new JinjaException($"{of} has no argument \"{key}\".");
        return this;
    }
}
