using System.Text.Json;
using System.Text.RegularExpressions;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints.Adapters;

/// <summary>
/// A regular expression of an adapter's config. It may be hostile, so it is matched without backtracking, in time proportional to the text;
/// or, where it looks ahead, as those of ms-swift do, with backtracking for a short time.
/// </summary>
internal static class AdapterPattern
{
    private const int MaxLength = 100_000;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(1), BacktrackingLimit = TimeSpan.FromMilliseconds(200);

    /// <summary>Creates a pattern that matches a whole name.</summary>
    /// <param name="field">The field, for messages.</param>
    /// <param name="pattern">The regular expression.</param>
    /// <param name="before">What may stand before it.</param>
    /// <exception cref="CheckpointException">It is no regular expression.</exception>
    public static Regex Whole(JsonField field, string pattern, string before = "")
    {
        if (pattern.Length > MaxLength) throw field.Damaged($"has {pattern.Length:N0} characters; at most {MaxLength:N0} are read");
        string whole = $@"\A{before}(?:{pattern})\z";
        try
        {
            return new Regex(whole, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking, Limit);
        }
        catch (NotSupportedException)
        {
            return new Regex(whole, RegexOptions.CultureInvariant, BacktrackingLimit);
        }
        catch (ArgumentException)
        {
            throw field.Error($"has the pattern {Shown.Quoted(pattern)}, which is no regular expression. {OtherFolder.Merge}");
        }
    }
}

/// <summary>Values of modules by patterns of their names; the first pattern that fits the end of a name counts, as in PEFT.</summary>
/// <param name="Values">The patterns and their values.</param>
/// <param name="Time">The time that matching takes.</param>
internal sealed record AdapterPatterns<T>(IReadOnlyList<(Regex Pattern, T Value)> Values, PatternTime Time)
{
    private const int MaxPatterns = 10_000;

    /// <summary>Reads an object of patterns and values; absent is empty.</summary>
    public static AdapterPatterns<T> Read(JsonField root, string name, PatternTime time, Func<JsonField, T> value)
    {
        List<(Regex, T)> values = [];
        if (!root.TryGet(name, out JsonField field)) return new AdapterPatterns<T>(values, time);
        foreach (JsonProperty pair in field.Members())
        {
            if (values.Count == MaxPatterns) throw field.Damaged($"has more than {MaxPatterns:N0} patterns");
            JsonField member = field.Member(Shown.Short(pair.Name), pair.Value);
            values.Add((AdapterPattern.Whole(member, pair.Name, @"(?:.*\.)?"), value(member)));
        }

        return new AdapterPatterns<T>(values, time);
    }

    /// <summary>Returns the value of a module, or the default.</summary>
    public T Of(string module, T otherwise)
    {
        foreach ((Regex pattern, T value) in Values)
            if (Time.Matches(pattern, module)) return value;
        return otherwise;
    }
}
