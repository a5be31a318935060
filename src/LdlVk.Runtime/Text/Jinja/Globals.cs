using System.Collections.Frozen;
using System.Numerics;

namespace LdlVk.Runtime.Text.Jinja;

/// <summary>The functions that every template has: Jinja's own, and those of transformers.</summary>
internal static class Globals
{
    private const int MaxRange = 100_000; // the sandbox's limit

    private static readonly FrozenDictionary<string, Function> All = new Function[]
    {
        new("raise_exception", (state, a) => throw new JinjaException(
            PythonText.Of(state, a.Only("message").Find(0, "message") ?? MarkedText.Empty).Value, JinjaFault.Refused)),
        new("strftime_now", (state, a) =>
        {
            string text = Formatting.Date(state.Now, a.Only("format").Text(0, "format").Value);
            state.HasPrintedDate = true;
            return MarkedText.OfTemplate(text);
        }),
        new("namespace", (_, a) => Namespace(a)),
        new("dict", (state, a) => Dict(state, a)),
        new("range", (state, a) => Range(state, a)),
        new("cycler", (_, a) => Cycler(a)),
        new("joiner", (_, a) => Joiner(a.Only("sep").OptionalText(0, "sep") ?? MarkedText.OfTemplate(", "))),
    }.ToFrozenDictionary(f => f.Name, StringComparer.Ordinal);

    public static Function? Find(string name) => All.GetValueOrDefault(name);

    private static Namespace Namespace(Arguments arguments)
    {
        Namespace space = new();
        foreach (object value in arguments.Positional)
        {
            if (value is not DictValue dict) throw new JinjaException($"namespace: {Python.TypeOf(value)} is not a dict.");
            foreach ((object key, object item) in dict.Items)
            {
                string name = (key as MarkedText)?.Value ?? throw new JinjaException("namespace: a name is not a string.");
                space.Attributes[name] = item;
            }
        }

        foreach ((string name, object value) in arguments.Named) space.Attributes[name] = value;
        return space;
    }

    private static DictValue Dict(RenderState state, Arguments arguments)
    {
        DictValue dict = new();
        foreach (object value in arguments.Positional)
        {
            if (value is DictValue other) foreach ((object key, object item) in other.Items) dict.Set(key, item);
            else
            {
                foreach (object pair in Python.Iterate(value))
                {
                    if (Python.List(state, pair).Items is not [var key, var item])
                        throw new JinjaException("dict: an element is not a pair.");
                    dict.Set(key, item);
                }
            }
        }

        foreach ((string name, object value) in arguments.Named) dict.Set(name, value);
        state.Spend(dict.Items.Count * 8L);
        return dict;
    }

    private static ListValue Range(RenderState state, Arguments arguments)
    {
        bool hasStart = arguments.Only("start", "stop", "step").Positional.Count > 1;
        arguments.Required(0, "stop");
        long start = hasStart ? arguments.Integer(0, "start", 0) : 0;
        long stop = arguments.Integer(hasStart ? 1 : 0, "stop", 0), step = arguments.Integer(2, "step", 1);
        if (step == 0) throw new JinjaException("range: the step is 0.");
        BigInteger distance = step > 0 ? (BigInteger)stop - start : (BigInteger)start - stop;
        BigInteger size = BigInteger.Abs(step), count = distance <= 0 ? 0 : (distance + size - 1) / size;
        if (count > MaxRange) throw new JinjaException($"range: more than {MaxRange:N0} numbers.", JinjaFault.Limit);
        object[] numbers = new object[(int)count];
        for (int i = 0; i < numbers.Length; i++) numbers[i] = start + (i * step);
        return state.Made(new ListValue(numbers));
    }

    private static Namespace Cycler(Arguments arguments)
    {
        IReadOnlyList<object> items = arguments.Positional.Count > 0
            ? arguments.Positional : throw new JinjaException("cycler needs items.");
        int at = 0;
        Namespace cycler = new() { Attributes = { ["current"] = items[0] } };
        cycler.Attributes["next"] = new Function("cycler.next", (_, _) =>
        {
            object item = items[at];
            at = (at + 1) % items.Count;
            cycler.Attributes["current"] = items[at];
            return item;
        });
        cycler.Attributes["reset"] = new Function("cycler.reset", (_, _) =>
        {
            at = 0;
            cycler.Attributes["current"] = items[0];
            return None.Value;
        });
        return cycler;
    }

    private static Function Joiner(MarkedText separator)
    {
        bool used = false;
        return new("joiner", (_, _) =>
        {
            if (used) return separator;
            used = true;
            return MarkedText.Empty;
        });
    }
}
