using System.Globalization;

namespace LdlVk.Runtime.Text.Jinja;

/// <summary>Jinja's filters, with transformers' tojson.</summary>
internal static class Filters
{
    private delegate object Of(RenderState state, object value, Arguments arguments);

    private static readonly Dictionary<string, Of> All = new(StringComparer.Ordinal)
    {
        ["abs"] = (_, v, _) => v is double d ? Math.Abs(d) : Equality.Number(v) < 0 ? Operators.Negate(v) : Operators.Plus(v),
        ["attr"] = (_, v, a) => Methods.Find(v, a.Only("name").Text(0, "name").Value) ?? new Undefined($"attribute {a.Text(0, "name")}"),
        ["batch"] = (state, v, a) => Batch(state, v, a.Only("linecount", "fill_with")),
        ["capitalize"] = (state, v, _) => TextMethods.Capitalize(Text(state, v)),
        ["center"] = (state, v, a) => Method(state, v, "center", [a.Only("width").Find(0, "width") ?? 80L]),
        ["count"] = (_, v, _) => Python.Length(v),
        ["d"] = Default,
        ["default"] = Default,
        ["dictsort"] = Lists.DictSort,
        ["first"] = (_, v, _) => Python.Iterate(v).FirstOrDefault(new Undefined("the first item of nothing")),
        ["float"] = (_, v, a) => ToFloat(v) ?? a.Only("default").Find(0, "default") ?? 0.0,
        ["format"] = (state, v, a) => Formatting.Percent(
            state, Text(state, v), a.Named.Count > 0 ? Named(a) : new ListValue(a.Positional, ListKind.Tuple)),
        ["groupby"] = Lists.GroupBy,
        ["indent"] = (state, v, a) => Indent(state, Text(state, v), a.Only("width", "first", "blank")),
        ["int"] = (_, v, a) => ToInteger(v, a.Only("default", "base").Integer(1, "base", 10)) ?? a.Find(0, "default") ?? 0L,
        ["items"] = (state, v, _) => v switch
        {
            Undefined => new Generator([]),
            DictValue dict => new Generator(Python.Iterate(((Function)Methods.Find(dict, "items")!).Call(state, Arguments.Nothing))),
            _ => throw new JinjaException($"items: {Python.TypeOf(v)} is not a dict."),
        },
        ["join"] = (state, v, a) => Join(state, v, a.Only("d", "attribute")),
        ["last"] = (state, v, _) => Python.List(state, v).Items is [.., var last] ? last : new Undefined("the last item of nothing"),
        ["length"] = (_, v, _) => Python.Length(v),
        ["list"] = (state, v, _) => Python.List(state, v),
        ["lower"] = (state, v, _) => Text(state, v).Map(value => value.ToLowerInvariant()),
        ["map"] = Lists.Map,
        ["max"] = (state, v, a) => Lists.Extreme(state, v, a, 1),
        ["min"] = (state, v, a) => Lists.Extreme(state, v, a, -1),
        ["reject"] = (state, v, a) => Lists.Select(state, v, a, byAttribute: false, wanted: false),
        ["rejectattr"] = (state, v, a) => Lists.Select(state, v, a, byAttribute: true, wanted: false),
        ["replace"] = (state, v, a) => TextMethods.Replace(
            state, Text(state, v), Text(state, a.Only("old", "new", "count").Required(0, "old")), Text(state, a.Required(1, "new")),
                Count(a)),
        ["reverse"] = (state, v, _) =>
            v is MarkedText ? Python.Slice(state, v, null, null, -1L) : new Generator(Python.List(state, v).Items.Reverse()),
        ["round"] = (_, v, a) => Round(v, a.Only("precision", "method")),
        ["safe"] = (state, v, _) => Text(state, v), // nothing is escaped, so there is nothing to be safe from
        ["select"] = (state, v, a) => Lists.Select(state, v, a, byAttribute: false, wanted: true),
        ["selectattr"] = (state, v, a) => Lists.Select(state, v, a, byAttribute: true, wanted: true),
        ["slice"] = (state, v, a) => Divide(state, v, a.Only("slices", "fill_with")),
        ["sort"] = Lists.Sort,
        ["string"] = (state, v, _) => Text(state, v),
        ["sum"] = (state, v, a) =>
            Python.Iterate(v).Select(item => Lists.Of(state, item, a.Only("attribute", "start").Find(0, "attribute")))
            .Aggregate(a.Find(1, "start") ?? 0L, (sum, item) => Operators.Add(state, sum, item)),
        ["title"] = (state, v, _) =>
            Text(state, v).Map(value =>
                TextMethods.Title(value, c => !(Python.IsSpace(c) || "-([{<".Contains(c, StringComparison.Ordinal)), "SS")),
        ["tojson"] = JsonText.Of,
        ["trim"] = (state, v, a) => TextMethods.Strip(Text(state, v), a.Only("chars").OptionalText(0, "chars")),
        ["unique"] = Lists.Unique,
        ["upper"] = (state, v, _) => TextMethods.Upper(Text(state, v)),
        ["wordcount"] = (state, v, _) => (long)Text(state, v).Value.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries).Length,
    };

    public static object Apply(RenderState state, string name, object value, Arguments arguments)
    {
        if (!All.TryGetValue(name, out Of? filter))
            throw new JinjaException($"The filter \"{name}\" is not known here.", JinjaFault.Syntax);
        return filter(state, value, arguments) switch
        {
            MarkedText text => state.Made(text),
            ListValue list => state.Made(list),
            var other => other,
        };
    }

    private static MarkedText Text(RenderState state, object value) => PythonText.Of(state, value);

    private static object Method(RenderState state, object value, string name, object[] arguments) =>
        TextMethods.Find(Text(state, value), name)!.Call(state, new Arguments(name, arguments, []));

    private static object Default(RenderState state, object value, Arguments arguments) =>
        value is Undefined || (arguments.Only("default_value", "boolean").Flag(1, "boolean") && !Python.IsTrue(value))
            ? arguments.Find(0, "default_value") ?? MarkedText.Empty
            : value;

    private static DictValue Named(Arguments arguments)
    {
        DictValue dict = new();
        foreach ((string name, object value) in arguments.Named) dict.Set(name, value);
        return dict;
    }

    private static long Count(Arguments arguments) => arguments.Find(2, "count") is null or None ? -1 : arguments.Integer(2, "count", -1);

    private static MarkedText Join(RenderState state, object value, Arguments arguments)
    {
        IEnumerable<object> items = Python.Iterate(value).Select(item =>
            (object)Text(state, Lists.Of(state, item, arguments.Find(1, "attribute"))));
        return TextMethods.Join(state, Text(state, arguments.Find(0, "d") ?? MarkedText.Empty), new Generator(items));
    }

    private static MarkedText Indent(RenderState state, MarkedText text, Arguments arguments)
    {
        MarkedText indent = arguments.Find(0, "width") is MarkedText given ? given
            : MarkedText.OfTemplate(new string(' ', (int)Math.Clamp(arguments.Integer(0, "width", 4), 0, 10_000)));
        bool first = arguments.Flag(1, "first"), blank = arguments.Flag(2, "blank");
        MarkedTextBuilder output = new();
        int at = 0, line = 0;
        string value = text.Value;
        while (true)
        {
            int end = value.IndexOf('\n', at) is var found and >= 0 ? found : value.Length;
            if (line++ == 0 ? first : blank || end > at)
            {
                output.Append(indent);
                state.Spend((indent.Length / 4) + 1);
            }

            output.Append(text.Slice(at, end));
            if (end == value.Length) return output.ToText();
            output.Append(text.Slice(end, end + 1));
            at = end + 1;
        }
    }

    private static object Round(object value, Arguments arguments)
    {
        if (Equality.Number(value) is not { } number) throw new JinjaException($"round: {Python.TypeOf(value)} is not a number.");
        long precision = arguments.Integer(0, "precision", 0);
        string method = arguments.OptionalText(1, "method")?.Value ?? "common";
        double scale = Math.Pow(10, precision);
        if (method == "common" && Equality.IsWhole(value) && precision >= 0) return Equality.Whole(value);
        double rounded = method switch
        {
            "common" => precision is >= 0 and <= 15
                ? Math.Round(number, (int)precision, MidpointRounding.ToEven) : Math.Round(number * scale, MidpointRounding.ToEven) / scale,
            "ceil" => Math.Ceiling(number * scale) / scale,
            "floor" => Math.Floor(number * scale) / scale,
            _ => throw new JinjaException("round: the method is not common, ceil or floor."),
        };
        return method == "common" && Equality.IsWhole(value) ? (object)(long)rounded : rounded;
    }

    private static object? ToInteger(object value, long radix) => value switch
    {
        long or bool => Equality.Whole(value),
        double d => double.IsFinite(d) && Math.Abs(d) < 9e18 ? (long)d : null,
        MarkedText text when radix != 10 => FromRadix(text.Value, radix),
        MarkedText text when long.TryParse(Digits(text), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long n) => n,
        MarkedText text when ToFloat(text) is double d && double.IsFinite(d) && Math.Abs(d) < 9e18 => (long)d,
        _ => null,
    };

    private static object? FromRadix(string text, long radix)
    {
        long value = 0;
        text = text.Trim().ToLowerInvariant();
        if (radix == 16 && text.StartsWith("0x", StringComparison.Ordinal)) text = text[2..];
        if (text.Length == 0 || radix is < 2 or > 36) return null;
        foreach (char c in text)
        {
            int digit = char.IsAsciiDigit(c) ? c - '0' : char.IsAsciiLetter(c) ? c - 'a' + 10 : 99;
            if (digit >= radix || value > (long.MaxValue - digit) / radix) return null;
            value = (value * radix) + digit;
        }

        return value;
    }

    private static object? ToFloat(object value) => value switch
    {
        double or long or bool => Equality.Number(value),
        MarkedText text when double.TryParse(Digits(text), NumberStyles.Float, CultureInfo.InvariantCulture, out double d) => d,
        _ => null,
    };

    private static string Digits(MarkedText text) => TextMethods.Strip(text, null).Value.Replace("_", "", StringComparison.Ordinal);

    private static Generator Batch(RenderState state, object value, Arguments arguments)
    {
        int size = (int)Math.Clamp(arguments.Integer(0, "linecount", 0), 0, int.MaxValue);
        if (size < 1) throw new JinjaException("batch: the size is less than 1.");
        object? fill = arguments.Find(1, "fill_with");
        return new(Python.List(state, value).Items.Chunk(size).Select(object (chunk) =>
        {
            int missing = fill is null or None ? 0 : size - chunk.Length;
            state.Spend(missing * 2L);
            return new ListValue([.. chunk, .. Enumerable.Repeat(fill!, missing)]);
        }));
    }

    private static Generator Divide(RenderState state, object value, Arguments arguments)
    {
        IReadOnlyList<object> items = Python.List(state, value).Items;
        long count = arguments.Integer(0, "slices", 0);
        if (count < 1) throw new JinjaException("slice: the number of slices is less than 1.");
        state.Spend(count * 2);
        long size = items.Count / count, longer = items.Count % count;
        object? fill = arguments.Find(1, "fill_with");
        return new(Enumerable.Range(0, (int)count).Select(object (i) =>
        {
            List<object> part = [.. items.Skip((int)((i * size) + Math.Min(i, longer))).Take((int)(size + (i < longer ? 1 : 0)))];
            if (fill is not (null or None) && i >= longer && longer > 0) part.Add(fill);
            return new ListValue(part);
        }));
    }
}
