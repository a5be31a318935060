using LdlVk.Runtime.Text.Normalizing;
using LdlVk.Runtime.Text.Splitting;

namespace LdlVk.Runtime.Text.Files;

/// <summary>What a tokenizer is made of.</summary>
internal sealed record TokenizerParts
{
    /// <summary>The pieces and merges.</summary>
    public required BytePairVocabulary Vocabulary { get; init; }

    /// <summary>Where a piece may be cut into words without a change of ids; null for nowhere.</summary>
    public WordBoundaries? Cuts { get; init; }

    /// <summary>What changes the text first; null for nothing.</summary>
    public Normalizer? Normalizer { get; init; }

    /// <summary>The first step that divides the text; null for none.</summary>
    public PreTokenizer? PreTokenizer { get; init; }

    /// <summary>Makes text of pieces.</summary>
    public required Decoder Decoder { get; init; }

    /// <summary>The added tokens.</summary>
    public required IReadOnlyList<AddedToken> Added { get; init; }

    /// <summary>What stands around every text; null if the file does not say.</summary>
    public Surroundings? Surroundings { get; init; }
}
