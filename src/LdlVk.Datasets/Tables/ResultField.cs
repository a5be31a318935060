using System.Text;

namespace LdlVk.Datasets.Tables;

/// <summary>A member of a result that is a number or nested lists of numbers.</summary>
/// <param name="Name">Its name in JSON, and that of its column.</param>
/// <param name="Depth">Number of nested lists in the result of one text.</param>
/// <param name="IsWhole">Whether its numbers are integers.</param>
/// <param name="GrowsWithResponses">Whether a result of several responses has a list of it, with one item for each response.</param>
internal sealed record ResultField(string Name, int Depth, bool IsWhole = false, bool GrowsWithResponses = true)
{
    /// <summary>Index of <c>tokens</c> in <see cref="All"/>: a list in the result of several responses, and in no other.</summary>
    public const int Tokens = 4;

    /// <summary>Its name in UTF-8, which is compared with those of millions of lines.</summary>
    public byte[] Utf8Name { get; } = Encoding.UTF8.GetBytes(Name);

    /// <summary>All of them, in the order of the columns.</summary>
    public static ResultField[] All { get; } =
    [
        new("score", 0, GrowsWithResponses: false),
        new("scores", 1, GrowsWithResponses: false),
        new("best", 0, IsWhole: true, GrowsWithResponses: false),
        new("steps", 1),
        new("tokens", 0, IsWhole: true),
        new("weights", 1),
        new("attributes", 1),
        new("adjusted", 1),
        new("quantiles", 2),
        new("distribution", 1),
        new("rewards", 2),
    ];

    /// <summary>Returns the index of a member; -1 for others.</summary>
    public static int IndexOf(string? name) => Array.FindIndex(All, field => field.Name == name);
}
