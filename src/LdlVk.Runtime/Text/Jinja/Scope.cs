namespace LdlVk.Runtime.Text.Jinja;

/// <summary>
/// Names and their values. A loop's turn, a macro and a block of <c>{% with %}</c> have their own; what they set ends with them.
/// </summary>
internal sealed class Scope(Scope? parent, RenderState state)
{
    private Dictionary<string, object>? _values;

    public RenderState State => state;

    public object Find(string name)
    {
        for (Scope? scope = this; scope is not null; scope = scope.Outer)
            if (scope._values?.TryGetValue(name, out object? value) == true) return value;
        return (object?)Globals.Find(name) ?? new Undefined($"\"{name}\"");
    }

    public void Set(string name, object value) => (_values ??= new(StringComparer.Ordinal))[name] = value;

    private Scope? Outer => parent;
}
