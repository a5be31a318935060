namespace LdlVk.Runtime.Text.Jinja;

/// <summary>
/// Attributes of values: the methods of Python's str, list and dict that change nothing, and what namespaces and loops hold.
/// </summary>
internal static class Methods
{
    /// <summary>The attribute of a value; null if it has none of that name.</summary>
    public static object? Find(object value, string name)
    {
        if (value is Undefined undefined) throw undefined.Error();
        if (name.StartsWith("__", StringComparison.Ordinal)) return new Undefined($"\"{name}\", which templates may not reach,");
        switch (value)
        {
            case Namespace space: return space.Attributes.GetValueOrDefault(name);
            case LoopValue loop: return loop.Find(name);
            case MarkedText text: return TextMethods.Find(text, name);
            case DictValue dict: return OfDict(dict, name);
            case ListValue { Kind: not ListKind.View } list: return OfList(list, name);
            default: return null;
        }
    }

    private static Function? OfDict(DictValue dict, string name) => name switch
    {
        "get" => new(name, (_, a) =>
            a.Only("key", "default").Required(0, "key") is var key && Equality.IsKey(key) && dict.Find(key) is { } found
            ? found : a.Find(1, "default") ?? None.Value),
        "items" => new(name, (state, a) =>
            View(state, a, dict.Items.Select(item => new ListValue([item.Key, item.Value], ListKind.Tuple)))),
        "keys" => new(name, (state, a) => View(state, a, dict.Items.Keys)),
        "values" => new(name, (state, a) => View(state, a, dict.Items.Values)),
        "copy" => new(name, (_, _) => dict),
        "clear" or "pop" or "popitem" or "setdefault" or "update" => Mutator(name, dict),
        _ => null,
    };

    private static ListValue View(RenderState state, Arguments arguments, IEnumerable<object> items)
    {
        arguments.Only();
        return state.Made(new ListValue([.. items], ListKind.View));
    }

    private static Function Mutator(string name, object value) =>
        new(name, (_, _) => throw new JinjaException($"{name}() would change {Python.TypeOf(value)}, which templates may not do."));

    private static Function? OfList(ListValue list, string name) => name switch
    {
        "index" => new(name, (state, a) =>
        {
            object wanted = a.Only("value").Required(0, "value");
            for (int i = 0; i < list.Items.Count; i++)
                if (Equality.AreEqual(state, list.Items[i], wanted)) return (long)i;
            throw new JinjaException("index(): the value is not in the list.");
        }),
        "count" => new(name, (state, a) =>
            (long)list.Items.Count(item => Equality.AreEqual(state, item, a.Only("value").Required(0, "value")))),
        "copy" => new(name, (_, _) => list),
        "append" or "clear" or "extend" or "insert" or "pop" or "remove" or "reverse" or "sort" when list.Kind == ListKind.List =>
            Mutator(name, list),
        _ => null,
    };
}
