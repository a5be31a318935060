namespace LdlVk.Runtime.Text.Jinja;

/// <summary>Jinja's tests, behind <c>is</c>.</summary>
internal static class Tests
{
    public static bool Passes(RenderState state, string name, object value, Arguments arguments)
    {
        object Other() => arguments.Required(0, "other");
        switch (name)
        {
            case "defined": return value is not Undefined;
            case "undefined": return value is Undefined;
            case "none": return value is None;
            case "true": return value is true;
            case "false": return value is false;
            case "boolean": return value is bool;
            case "integer": return value is long;
            case "float": return value is double;
            case "number": return value is long or double or bool;
            case "string": return value is MarkedText;
            case "mapping": return value is DictValue;
            case "sequence": return value is MarkedText or ListValue or DictValue or Undefined;
            case "iterable": return value is MarkedText or ListValue or DictValue or Generator or Undefined or LoopValue;
            case "callable": return value is Function;
            case "escaped": return false;
            case "filter": return false;
            case "odd": return Rest(2) is 1.0 or 1L;
            case "even": return Rest(2) is 0.0 or 0L;
            case "divisibleby": return Operators.Modulo(state, value, Other()) is 0L or 0.0;
            case "lower": return IsCased(char.IsLower, char.IsUpper);
            case "upper": return IsCased(char.IsUpper, char.IsLower);
            case "sameas": return ReferenceEquals(value, Other())
                || (value is bool or long or MarkedText && value.GetType() == Other().GetType()
                    && Equality.AreEqual(state, value, Other()));
            case "in": return Operators.Contains(state, Other(), value);
            case "eq" or "equalto" or "==": return Equality.AreEqual(state, value, Other());
            case "ne" or "!=": return !Equality.AreEqual(state, value, Other());
            case "lt" or "lessthan" or "<": return Equality.Compare(state, value, Other()) < 0;
            case "le" or "<=": return Equality.Compare(state, value, Other()) <= 0;
            case "gt" or "greaterthan" or ">": return Equality.Compare(state, value, Other()) > 0;
            case "ge" or ">=": return Equality.Compare(state, value, Other()) >= 0;
            default: throw new JinjaException($"The test \"{name}\" is not known here.", JinjaFault.Syntax);
        }

        object Rest(long of) =>
            Operators.Modulo(state, value is MarkedText ? throw new JinjaException("A string is neither odd nor even.") : value, of);

        bool IsCased(Func<char, bool> wanted, Func<char, bool> other) =>
            PythonText.Of(state, value).Value is var text && text.Any(wanted) && !text.Any(other);
    }
}
