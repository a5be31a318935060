using System.Runtime.InteropServices;

namespace LdlVk.Runtime.Text.Patterns;

/// <summary>What an instruction of a <see cref="PatternProgram"/> does.</summary>
internal enum PatternStep : byte
{
    Match,
    Character,
    Run,
    LazyRun,
    FinalRun,
    Either,
    Jump,
    Ahead,
    NotAhead,
    Behind,
    NotBehind,
    Atomic,
    Place,
}

/// <summary>An instruction.</summary>
/// <param name="Step">What it does.</param>
/// <param name="Set">The characters of a character, a run or a look back.</param>
/// <param name="Min">Least length of a run.</param>
/// <param name="Max">Greatest length of a run.</param>
/// <param name="To">Where to go: the second way of Either, the instruction behind a part.</param>
/// <param name="Starts">Of Either: the characters with which the first way begins; null if it may match nothing.</param>
/// <param name="At">A place in the text.</param>
internal sealed record PatternInstruction(
    PatternStep Step, CharacterSet? Set = null, int Min = 0, int Max = 0, int To = 0, FirstCharacters? Starts = null,
    PatternPlace At = default);

/// <summary>The characters with which a match may begin; all that are not ASCII may.</summary>
internal sealed class FirstCharacters
{
    private readonly UInt128 _ascii;

    /// <param name="sets">Sets of which one has the first character.</param>
    public FirstCharacters(IEnumerable<CharacterSet> sets)
    {
        foreach (CharacterSet set in sets)
            for (int c = 0; c < 128; c++)
                if (set.Contains(c)) _ascii |= UInt128.One << c;
    }

    /// <summary>Whether a match may begin with a UTF-16 unit.</summary>
    public bool Has(char unit) => unit > 127 || (_ascii & (UInt128.One << unit)) != 0;
}

/// <summary>A regular expression as instructions for <see cref="PatternMatcher"/>.</summary>
internal sealed class PatternProgram
{
    private const int MaxInstructions = 20_000;

    private readonly List<PatternInstruction> _instructions = [];

    /// <summary>Compiles a pattern.</summary>
    /// <exception cref="PatternException">It is not one, uses what is not implemented, or is too long.</exception>
    public PatternProgram(string source)
    {
        PatternNode root = PatternParser.Parse(source);
        Write(root);
        Add(new(PatternStep.Match));
        Starts = First(root);
    }

    /// <summary>The instructions.</summary>
    public ReadOnlySpan<PatternInstruction> Instructions => CollectionsMarshal.AsSpan(_instructions);

    /// <summary>The characters with which a match begins; null if one may be empty.</summary>
    public FirstCharacters? Starts { get; }

    private static FirstCharacters? First(PatternNode node) => node.IsNullable ? null : new FirstCharacters(FirstSets(node));

    private static IEnumerable<CharacterSet> FirstSets(PatternNode node) => node switch
    {
        PatternNode.Set set => [set.Characters],
        PatternNode.Alternation alternation => alternation.Parts.SelectMany(FirstSets),
        PatternNode.Repeat repeat => FirstSets(repeat.Part),
        PatternNode.Atomic atomic => FirstSets(atomic.Part),
        // Up to the first part that matches something; a look ahead matches nothing by itself.
        PatternNode.Sequence sequence =>
            sequence.Parts.Take(1 + sequence.Parts.TakeWhile(part => part.IsNullable).Count()).SelectMany(FirstSets),
        _ => [],
    };

    private int Add(PatternInstruction instruction)
    {
        if (_instructions.Count == MaxInstructions) throw new PatternException($"takes more than {MaxInstructions} instructions");
        _instructions.Add(instruction);
        return _instructions.Count - 1;
    }

    private void Write(PatternNode node)
    {
        switch (node)
        {
            case PatternNode.Set set:
                Add(new(PatternStep.Character, set.Characters));
                break;
            case PatternNode.Sequence sequence:
                foreach (PatternNode part in sequence.Parts) Write(part);
                break;
            case PatternNode.Alternation alternation:
                Alternatives(alternation.Parts);
                break;
            case PatternNode.Repeat { Part: PatternNode.Set set } repeat:
                PatternStep step = repeat.Mode switch
                {
                    RepeatMode.Lazy => PatternStep.LazyRun,
                    RepeatMode.Possessive => PatternStep.FinalRun,
                    _ => PatternStep.Run,
                };
                Add(new(step, set.Characters, repeat.Min, repeat.Max));
                break;
            case PatternNode.Repeat { Mode: RepeatMode.Possessive } repeat:
                Part(PatternStep.Atomic, repeat with { Mode = RepeatMode.Greedy });
                break;
            case PatternNode.Repeat repeat:
                Repeated(repeat);
                break;
            case PatternNode.LookAhead look:
                Part(look.IsNegative ? PatternStep.NotAhead : PatternStep.Ahead, look.Part);
                break;
            case PatternNode.Atomic atomic:
                Part(PatternStep.Atomic, atomic.Part);
                break;
            case PatternNode.LookBehind look:
                Add(new(look.IsNegative ? PatternStep.NotBehind : PatternStep.Behind, look.Characters));
                break;
            case PatternNode.Place place:
                Add(new(PatternStep.Place, At: place.At));
                break;
        }
    }

    /// <summary>A part that is matched by itself, up to its own Match.</summary>
    private void Part(PatternStep step, PatternNode part)
    {
        int at = Add(new(step));
        Write(part);
        Add(new(PatternStep.Match));
        _instructions[at] = new(step, To: _instructions.Count);
    }

    private void Alternatives(IReadOnlyList<PatternNode> parts)
    {
        List<int> jumps = [];
        for (int i = 0; i < parts.Count; i++)
        {
            int either = i + 1 < parts.Count ? Add(new(PatternStep.Either)) : -1;
            Write(parts[i]);
            if (either < 0) break;
            jumps.Add(Add(new(PatternStep.Jump)));
            _instructions[either] = new(PatternStep.Either, To: _instructions.Count, Starts: First(parts[i]));
        }

        foreach (int jump in jumps) _instructions[jump] = new(PatternStep.Jump, To: _instructions.Count);
    }

    private void Repeated(PatternNode.Repeat repeat)
    {
        bool isLazy = repeat.Mode == RepeatMode.Lazy;
        for (int i = 0; i < repeat.Min; i++) Write(repeat.Part);
        if (repeat.Max == int.MaxValue)
        {
            int loop = Option(isLazy, repeat.Part, out int skip);
            Add(new(PatternStep.Jump, To: loop));
            Close(skip, isLazy, repeat.Part);
            return;
        }

        List<int> skips = [];
        for (int i = repeat.Min; i < repeat.Max; i++)
        {
            Option(isLazy, repeat.Part, out int skip);
            skips.Add(skip);
        }

        foreach (int skip in skips) Close(skip, isLazy, repeat.Part);
    }

    /// <summary>A part or nothing. The place that says where nothing leads is filled by <see cref="Close"/>.</summary>
    private int Option(bool isLazy, PatternNode part, out int skip)
    {
        int either = Add(new(PatternStep.Either));
        skip = either;
        if (isLazy)
        {
            skip = Add(new(PatternStep.Jump)); // the first way: nothing
            _instructions[either] = new(PatternStep.Either, To: _instructions.Count);
        }

        Write(part);
        return either;
    }

    private void Close(int skip, bool isLazy, PatternNode part) => _instructions[skip] = isLazy
        ? new(PatternStep.Jump, To: _instructions.Count)
        : new(PatternStep.Either, To: _instructions.Count, Starts: First(part));
}
