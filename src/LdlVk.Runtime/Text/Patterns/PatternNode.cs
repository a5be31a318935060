namespace LdlVk.Runtime.Text.Patterns;

/// <summary>A part of a regular expression.</summary>
internal abstract record PatternNode
{
    /// <summary>Whether it may match nothing.</summary>
    public abstract bool IsNullable { get; }

    /// <summary>One character of a set.</summary>
    public sealed record Set(CharacterSet Characters) : PatternNode
    {
        public override bool IsNullable => false;
    }

    /// <summary>Parts one after another.</summary>
    public sealed record Sequence(IReadOnlyList<PatternNode> Parts) : PatternNode
    {
        public override bool IsNullable => Parts.All(part => part.IsNullable);
    }

    /// <summary>The first of several that leads to a match.</summary>
    public sealed record Alternation(IReadOnlyList<PatternNode> Parts) : PatternNode
    {
        public override bool IsNullable => Parts.Any(part => part.IsNullable);
    }

    /// <summary>A part min to max times; as often as possible, as seldom as possible, or as often as possible without going back.</summary>
    public sealed record Repeat(PatternNode Part, int Min, int Max, RepeatMode Mode) : PatternNode
    {
        public override bool IsNullable => Min == 0 || Part.IsNullable;
    }

    /// <summary>What must follow here, or must not.</summary>
    public sealed record LookAhead(PatternNode Part, bool IsNegative) : PatternNode
    {
        public override bool IsNullable => true;
    }

    /// <summary>A character that must stand before here, or must not.</summary>
    public sealed record LookBehind(CharacterSet Characters, bool IsNegative) : PatternNode
    {
        public override bool IsNullable => true;
    }

    /// <summary>A part that is not matched in another way once it has matched.</summary>
    public sealed record Atomic(PatternNode Part) : PatternNode
    {
        public override bool IsNullable => Part.IsNullable;
    }

    /// <summary>A place in the text.</summary>
    public sealed record Place(PatternPlace At) : PatternNode
    {
        public override bool IsNullable => true;
    }
}

/// <summary>How a repetition goes on.</summary>
internal enum RepeatMode
{
    Greedy,
    Lazy,
    Possessive,
}

/// <summary>Places that a pattern may name.</summary>
internal enum PatternPlace
{
    LineStart,
    LineEnd,
    TextStart,
    TextEnd,
    LastLineEnd,
    WordEdge,
    NoWordEdge,
}
