using System.Globalization;

namespace LdlVk.Evaluation.Benchmarks;

/// <summary>Which prompt of the Ties subset a line is of: ids are <c>ref:7</c> (one right answer) and <c>tied:7</c> (many).</summary>
/// <param name="IsReference">Whether it is the one with one right answer.</param>
/// <param name="Prompt">What the two have in common.</param>
public readonly record struct TiesId(bool IsReference, int Prompt)
{
    /// <summary>Reads an id; null if it is none.</summary>
    public static TiesId? Parse(string id) => id.Split(':') switch
    {
        ["ref", { } n] when int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out int prompt) => new TiesId(true, prompt),
        ["tied", { } n] when int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out int prompt) => new TiesId(false, prompt),
        _ => null,
    };
}
