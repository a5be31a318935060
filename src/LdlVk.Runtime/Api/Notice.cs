using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace LdlVk;

/// <summary>How a surface names an option.</summary>
/// <param name="name">Name of the property in C#, such as <c>BatchTokens</c>.</param>
/// <param name="value">Values that would help, as a person would list them; empty where the option alone is named.</param>
public delegate string OptionWording(string name, string value);

/// <summary>
/// What a person is told. Options stand in it as values, so that each surface can word them for its users. An interpolated string
/// becomes one: <c>Notice n = $"Use a smaller {OptionName.BatchTokens}.";</c> Numbers are written invariantly.
/// </summary>
[InterpolatedStringHandler]
public sealed class Notice : IEquatable<Notice>
{
    /// <summary>Texts and options in turn: an option stands behind each text but the last.</summary>
    private readonly List<(string Text, string Name, string Value)> _parts = [];

    private readonly StringBuilder _end = new();

    /// <summary>Begins an interpolated string; called by the compiler.</summary>
    public Notice(int literalLength, int formattedCount) => _end.EnsureCapacity(literalLength + (8 * formattedCount));

    private Notice()
    {
    }

    /// <summary>Names of the options in it, in order.</summary>
    public IReadOnlyList<string> Options => [.. _parts.Select(part => part.Name)];

    /// <summary>A text that names no option.</summary>
    public static implicit operator Notice(string text)
    {
        Notice notice = new();
        notice.AppendLiteral(text);
        return notice;
    }

    /// <summary>One behind the other.</summary>
    public static Notice operator +(Notice first, Notice second)
    {
        Notice both = new();
        both.AppendFormatted(first);
        both.AppendFormatted(second);
        return both;
    }

    /// <summary>Several, with a text between them.</summary>
    public static Notice Join(string separator, IEnumerable<Notice> notices)
    {
        ArgumentNullException.ThrowIfNull(notices);
        Notice joined = new();
        string between = "";
        foreach (Notice notice in notices)
        {
            joined.AppendLiteral(between);
            joined.AppendFormatted(notice);
            between = separator;
        }

        return joined;
    }

    /// <summary>The text, with each option as a surface words it.</summary>
    public string Say(OptionWording word)
    {
        ArgumentNullException.ThrowIfNull(word);
        return string.Concat(_parts.Select(part => part.Text + word(part.Name, part.Value))) + _end;
    }

    /// <summary>The text, with options as properties.</summary>
    public override string ToString() => Say(AsProperty);

    /// <summary>An option as C# has it: <c>Weights = int8 or int4</c>.</summary>
    public static string AsProperty(string name, string value) => value.Length == 0 ? name : $"{name} = {value}";

    /// <inheritdoc/>
    public bool Equals(Notice? other) => other is not null && _parts.SequenceEqual(other._parts) && _end.Equals(other._end);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Notice);

    /// <inheritdoc/>
    public override int GetHashCode() => ToString().GetHashCode(StringComparison.Ordinal);

    /// <summary>Part of an interpolated string; called by the compiler.</summary>
    public void AppendLiteral(string value) => _end.Append(value);

    /// <inheritdoc cref="AppendLiteral"/>
    public void AppendFormatted(string? value) => _end.Append(value);

    /// <inheritdoc cref="AppendLiteral"/>
    public void AppendFormatted<T>(T value, string? format = null) =>
        _end.Append(value is IFormattable formattable ? formattable.ToString(format, CultureInfo.InvariantCulture) : value?.ToString());

    /// <inheritdoc cref="AppendLiteral"/>
    public void AppendFormatted(OptionName value)
    {
        _parts.Add((_end.ToString(), value.Name, value.Value));
        _end.Clear();
    }

    /// <inheritdoc cref="AppendLiteral"/>
    public void AppendFormatted(Notice? value)
    {
        if (value is null) return;
        foreach ((string text, string name, string values) in value._parts)
        {
            _end.Append(text);
            AppendFormatted(new OptionName(name, values));
        }

        _end.Append(value._end);
    }
}
