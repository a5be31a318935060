using System.Globalization;

namespace LdlVk.Runtime.Text.Jinja;

/// <summary>The filters that choose, order and map the elements of a list.</summary>
internal static class Lists
{
    /// <summary>An element's attribute by a path such as <c>function.name</c> or <c>0</c>; the element itself without one.</summary>
    public static object Of(RenderState state, object item, object? path)
    {
        state.Step();
        if (path is null or None) return item;
        foreach (object part in path is MarkedText names ? names.Value.Split('.').Select(Part) : [path])
            item = Python.Item(item, part) ?? (part is MarkedText name ? Methods.Find(item, name.Value) : null)
                ?? new Undefined($"{PythonText.Of(state, part)} of {Python.TypeOf(item)}");
        return item;

        static object Part(string name) =>
            long.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out long index) ? index : MarkedText.OfTemplate(name);
    }

    /// <summary><c>map('filter', …)</c> or <c>map(attribute='name', default=…)</c>.</summary>
    public static object Map(RenderState state, object value, Arguments arguments)
    {
        if (arguments.Positional.Count == 0)
        {
            object path = arguments.Only("attribute", "default").Required(int.MaxValue, "attribute");
            object? otherwise = arguments.Find(int.MaxValue, "default");
            return new Generator(Python.Iterate(value).Select(item => OrElse(Of(state, item, path), otherwise)));
        }

        string name = arguments.Text(0, "name").Value;
        Arguments rest = new(name, [.. arguments.Positional.Skip(1)], arguments.Named);
        return new Generator(Python.Iterate(value).Select(item =>
        {
            state.Step();
            return Filters.Apply(state, name, item, rest);
        }));
    }

    /// <summary>select, reject, selectattr and rejectattr: the elements that pass a test, or whose attribute does; or are true.</summary>
    public static object Select(RenderState state, object value, Arguments arguments, bool byAttribute, bool wanted)
    {
        object? path = byAttribute ? arguments.Required(0, "attribute") : null;
        int at = byAttribute ? 1 : 0;
        string? test = arguments.OptionalText(at, "test")?.Value;
        Arguments rest = new(test ?? "", [.. arguments.Positional.Skip(at + 1)], arguments.Named);
        return new Generator(Python.Iterate(value).Where(item =>
        {
            object tested = Of(state, item, path);
            return (test is null ? Python.IsTrue(tested) : Tests.Passes(state, test, tested, rest)) == wanted;
        }));
    }

    public static object Sort(RenderState state, object value, Arguments arguments)
    {
        arguments.Only("reverse", "case_sensitive", "attribute");
        object?[] paths = arguments.Find(2, "attribute") is MarkedText names
            ? [.. names.Value.Split(',').Select(MarkedText.OfTemplate)] : [arguments.Find(2, "attribute")];
        bool sensitive = arguments.Flag(1, "case_sensitive");
        return Ordered(state, Python.List(state, value).Items, KeyOf, arguments.Flag(0, "reverse"));

        object KeyOf(object item) => new ListValue([.. paths.Select(path => Key(Of(state, item, path), sensitive))]);
    }

    /// <summary>The items of a dict, ordered by key or by value.</summary>
    public static object DictSort(RenderState state, object value, Arguments arguments)
    {
        arguments.Only("case_sensitive", "by", "reverse");
        if (value is not DictValue dict) throw new JinjaException($"dictsort: {Python.TypeOf(value)} is not a dict.");
        string by = arguments.OptionalText(1, "by")?.Value ?? "key";
        if (by is not ("key" or "value")) throw new JinjaException("dictsort: \"by\" is neither \"key\" nor \"value\".");
        bool sensitive = arguments.Flag(0, "case_sensitive");
        object[] items = [.. dict.Items.Select(item => new ListValue([item.Key, item.Value], ListKind.Tuple))];
        return Ordered(state, items, item => Key(((ListValue)item).Items[by == "key" ? 0 : 1], sensitive), arguments.Flag(2, "reverse"));
    }

    public static object Unique(RenderState state, object value, Arguments arguments)
    {
        arguments.Only("case_sensitive", "attribute");
        List<object> seen = [];
        return new Generator(Python.Iterate(value).Where(item =>
        {
            object key = Key(Of(state, item, arguments.Find(1, "attribute")), arguments.Flag(0, "case_sensitive"));
            if (seen.Any(other => Equality.AreEqual(state, other, key))) return false;
            seen.Add(key);
            return true;
        }));
    }

    /// <summary>min (-1) or max (1).</summary>
    public static object Extreme(RenderState state, object value, Arguments arguments, int sign)
    {
        arguments.Only("case_sensitive", "attribute");
        object? best = null, bestKey = null;
        foreach (object item in Python.Iterate(value))
        {
            object key = Key(Of(state, item, arguments.Find(1, "attribute")), arguments.Flag(0, "case_sensitive"));
            if (bestKey is null || Equality.Compare(state, key, bestKey) * sign > 0) (best, bestKey) = (item, key);
        }

        return best ?? new Undefined("the least or largest item of nothing");
    }

    /// <summary>Pairs of an attribute's value and the elements that have it, ordered by it.</summary>
    public static object GroupBy(RenderState state, object value, Arguments arguments)
    {
        object path = arguments.Only("attribute", "default", "case_sensitive").Required(0, "attribute");
        bool sensitive = arguments.Flag(2, "case_sensitive");
        List<object> groups = [];
        List<object> members = [];
        object? current = null;
        ListValue ordered = Ordered(state, Python.List(state, value).Items, item => Key(Grouper(item), sensitive), reverse: false);
        foreach (object item in ordered.Items)
        {
            object key = Key(Grouper(item), sensitive);
            if (current is not null && !Equality.AreEqual(state, current, key)) Close();
            current = key;
            members.Add(item);
        }

        if (members.Count > 0) Close();
        return new ListValue(groups);

        void Close()
        {
            groups.Add(new ListValue([Grouper(members[0]), new ListValue(members)], ListKind.Tuple));
            members = [];
        }

        object Grouper(object item) => OrElse(Of(state, item, path), arguments.Find(1, "default"));
    }

    private static object OrElse(object found, object? otherwise) => found is Undefined && otherwise is not null ? otherwise : found;

    private static object Key(object value, bool sensitive) =>
        value is MarkedText text && !sensitive ? text.Map(t => t.ToLowerInvariant()) : value;

    /// <summary>A stable order; reversed, equal elements keep theirs, as in Python.</summary>
    private static ListValue Ordered(RenderState state, IReadOnlyList<object> items, Func<object, object> key, bool reverse)
    {
        Comparer<object> comparer = Comparer<object>.Create((a, b) => Equality.Compare(state, a, b));
        try
        {
            return new([.. reverse ? items.OrderByDescending(key, comparer) : items.OrderBy(key, comparer)]);
        }
        catch (InvalidOperationException e) when (e.InnerException is JinjaException inner)
        {
            throw inner;
        }
    }
}
