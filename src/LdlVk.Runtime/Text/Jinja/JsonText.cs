using System.Globalization;

namespace LdlVk.Runtime.Text.Jinja;

/// <summary>
/// The filter <c>tojson</c> of transformers: Python's json.dumps with <c>ensure_ascii=False</c>, <c>indent</c>, <c>separators</c> and
/// <c>sort_keys</c>. It does not escape HTML, as Jinja's own does.
/// </summary>
internal sealed class JsonText
{
    private readonly RenderState _state;
    private readonly MarkedTextBuilder _output = new();
    private readonly string? _indent;
    private readonly string _comma, _colon;
    private readonly bool _ascii, _sorts;

    private JsonText(RenderState state, Arguments arguments)
    {
        _state = state;
        arguments.Only("ensure_ascii", "indent", "separators", "sort_keys");
        _ascii = arguments.Flag(0, "ensure_ascii");
        _indent = arguments.Find(1, "indent") switch
        {
            null or None => null,
            MarkedText text => text.Value,
            var indent when Equality.IsWhole(indent) => new string(' ', (int)Math.Clamp(Equality.Whole(indent), 0, 1000)),
            var indent => throw new JinjaException($"tojson: indent is {Python.TypeOf(indent)}."),
        };
        (_comma, _colon) = arguments.Find(2, "separators") switch
        {
            null or None => (_indent is null ? ", " : ",", ": "),
            ListValue { Items: [MarkedText comma, MarkedText colon] } => (comma.Value, colon.Value),
            _ => throw new JinjaException("tojson: separators are not two strings."),
        };
        _sorts = arguments.Flag(3, "sort_keys");
    }

    public static MarkedText Of(RenderState state, object value, Arguments arguments)
    {
        JsonText text = new(state, arguments);
        text.Write(value, 0);
        return state.Made(text._output.ToText());
    }

    private void Write(object value, int depth)
    {
        _state.Step();
        RenderState.Descend();
        switch (value)
        {
            case MarkedText text: Quote(text); break;
            case ListValue { Kind: not ListKind.View } list:
                _output.Append("[");
                for (int i = 0; i < list.Items.Count; i++)
                {
                    Separate(i, depth + 1);
                    Write(list.Items[i], depth + 1);
                }

                Close("]", list.Items.Count, depth);
                break;
            case DictValue dict:
                _output.Append("{");
                IEnumerable<KeyValuePair<object, object>> items = dict.Items;
                if (_sorts) items = items.OrderBy(item => item.Key, Comparer<object>.Create((a, b) => Equality.Compare(_state, a, b)));
                int at = 0;
                foreach ((object key, object item) in items)
                {
                    Separate(at++, depth + 1);
                    if (key is MarkedText name) Quote(name);
                    else _output.Append("\"").Append(Scalar(key)).Append("\"");
                    _output.Append(_colon);
                    Write(item, depth + 1);
                }

                Close("}", dict.Items.Count, depth);
                break;
            default: _output.Append(Scalar(value)); break;
        }
    }

    private static string Scalar(object value) => value switch
    {
        None => "null",
        bool b => b ? "true" : "false",
        long n => n.ToString(CultureInfo.InvariantCulture),
        double d => double.IsNaN(d) ? "NaN" : double.IsInfinity(d) ? d > 0 ? "Infinity" : "-Infinity" : PythonText.Of(d),
        Undefined undefined => throw undefined.Error(),
        _ => throw new JinjaException($"tojson: {Python.TypeOf(value)} cannot be written as JSON."),
    };

    private void Separate(int index, int depth)
    {
        if (index > 0) _output.Append(_comma);
        Line(depth);
    }

    private void Close(string bracket, int count, int depth)
    {
        if (count > 0) Line(depth);
        _output.Append(bracket);
    }

    private void Line(int depth)
    {
        if (_indent is null) return;
        _state.Spend(_indent.Length * (long)depth / 4);
        _output.Append("\n");
        for (int i = 0; i < depth; i++) _output.Append(_indent);
    }

    private void Quote(MarkedText text)
    {
        _state.Spend(text.Length / 4);
        _output.Append("\"");
        int plain = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (Escape(text.Value[i]) is not { } escape) continue;
            _output.Append(text.Slice(plain, i)).Append(escape, typed: text.Typed.Length > 0);
            plain = i + 1;
        }

        _output.Append(text.Slice(plain, text.Length)).Append("\"");
    }

    private string? Escape(char c) => c switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\f' => "\\f",
        '\b' => "\\b",
        < ' ' => $"\\u{(int)c:x4}",
        > '~' when _ascii => $"\\u{(int)c:x4}",
        _ => null,
    };
}
