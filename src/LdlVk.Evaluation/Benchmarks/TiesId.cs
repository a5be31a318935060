using System.Globalization;

namespace LdlVk.Evaluation.Benchmarks;

/// <summary>The prompt of a line in the Ties subset. Ids are <c>ref:7</c> (one correct answer) and <c>tied:7</c> (several).</summary>
/// <param name="IsReference">Whether the line has one correct answer.</param>
/// <param name="Prompt">The part that both ids of a prompt share.</param>
public readonly record struct TiesId(bool IsReference, int Prompt)
{
    /// <summary>Reads an id; null if it is not one of the Ties subset.</summary>
    public static TiesId? Parse(string id) => id.Split(':') switch
    {
        ["ref", { } n] when int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out int prompt) => new TiesId(true, prompt),
        ["tied", { } n] when int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out int prompt) => new TiesId(false, prompt),
        _ => null,
    };
}
