namespace LdlVk.Runtime.Text.Patterns;

/// <summary>
/// Matches a regular expression by trying its ways in order, as the reference does, with a limit of steps.
/// </summary>
internal readonly ref struct PatternMatcher
{
    private readonly ReadOnlySpan<PatternInstruction> _program;
    private readonly ReadOnlySpan<char> _text;
    private readonly FirstCharacters? _starts;
    private readonly string _source;
    private readonly MatchState _state;

    /// <param name="program">The expression.</param>
    /// <param name="source">Its text, for messages.</param>
    /// <param name="text">The text to search.</param>
    /// <param name="state">The steps that are left, and room for the places to go back to.</param>
    internal PatternMatcher(PatternProgram program, string source, ReadOnlySpan<char> text, MatchState state)
    {
        (_starts, _source, _state) = (program.Starts, source, state);
        _program = program.Instructions;
        _text = text;
    }

    /// <summary>Finds the first match that begins at <paramref name="from"/> or behind it.</summary>
    /// <exception cref="InputException">It takes too many steps.</exception>
    public bool Search(int from, out int start, out int end)
    {
        for (start = from; start <= _text.Length; start += start < _text.Length ? Length(start) : 1)
        {
            if (_starts is not null)
            {
                while (start < _text.Length && !_starts.Has(_text[start])) start++; // ASCII, so one unit each
                if (start == _text.Length) break;
            }

            end = Match(0, start);
            if (end >= 0) return true;
        }

        end = -1;
        return false;
    }

    private int Length(int at) =>
        char.IsHighSurrogate(_text[at]) && at + 1 < _text.Length && char.IsLowSurrogate(_text[at + 1]) ? 2 : 1;

    private bool Is(CharacterSet set, int at, out int length)
    {
        length = 0;
        if (at >= _text.Length) return false;
        length = Length(at);
        return set.Contains(length == 2 ? char.ConvertToUtf32(_text[at], _text[at + 1]) : _text[at]);
    }

    private int Back(int at) => at - (at > 1 && char.IsLowSurrogate(_text[at - 1]) && char.IsHighSurrogate(_text[at - 2]) ? 2 : 1);

    private bool IsBehind(CharacterSet set, int at) => at > 0 && Is(set, Back(at), out _);

    /// <summary>Returns the end of the match of the instructions from one on, at a place; -1 if there is none.</summary>
    private int Match(int instruction, int position)
    {
        int floor = _state.Count;
        while (true)
        {
            if (--_state.Steps < 0) throw TooLong();
            PatternInstruction step = _program[instruction];
            bool goesOn = true;
            switch (step.Step)
            {
                case PatternStep.Match:
                    _state.Count = floor;
                    return position;
                case PatternStep.Character:
                    goesOn = Is(step.Set!, position, out int length);
                    position += length;
                    instruction++;
                    break;
                case PatternStep.Run or PatternStep.FinalRun:
                    goesOn = Run(step, ref position, out int least);
                    if (goesOn && step.Step == PatternStep.Run && position > least) Push(instruction, position, least);
                    instruction++;
                    break;
                case PatternStep.LazyRun:
                    goesOn = Run(step with { Max = step.Min }, ref position, out _);
                    if (goesOn && step.Max > step.Min) Push(instruction, position, step.Max - step.Min);
                    instruction++;
                    break;
                case PatternStep.Either:
                    if (step.Starts is { } starts && (position == _text.Length || !starts.Has(_text[position])))
                    {
                        instruction = step.To;
                        break;
                    }

                    Push(step.To, position, -1);
                    instruction++;
                    break;
                case PatternStep.Jump:
                    instruction = step.To;
                    break;
                case PatternStep.Ahead or PatternStep.NotAhead:
                    goesOn = Match(instruction + 1, position) >= 0 == (step.Step == PatternStep.Ahead);
                    instruction = step.To;
                    break;
                case PatternStep.Behind or PatternStep.NotBehind:
                    goesOn = IsBehind(step.Set!, position) == (step.Step == PatternStep.Behind);
                    instruction++;
                    break;
                case PatternStep.Atomic:
                    int end = Match(instruction + 1, position);
                    goesOn = end >= 0;
                    position = end;
                    instruction = step.To;
                    break;
                case PatternStep.Place:
                    goesOn = IsAt(step.At, position);
                    instruction++;
                    break;
            }

            if (goesOn) continue;
            if (!GoBack(floor, out instruction, out position)) return -1;
        }
    }

    /// <summary>Goes back to the last place from which there is another way; false if there is none above the floor.</summary>
    private bool GoBack(int floor, out int instruction, out int position)
    {
        while (_state.Count > floor)
        {
            ref MatchState.Place place = ref _state.Places[_state.Count - 1];
            (instruction, position) = (place.Instruction, place.Position);
            if (place.Rest < 0)
            {
                _state.Count--;
                return true;
            }

            if (_program[instruction].Step == PatternStep.Run)
            {
                position = Back(position); // one character less
                if (position <= place.Rest) _state.Count--;
            }
            else if (Is(_program[instruction].Set!, position, out int length))
            {
                position += length; // one character more
                if (--place.Rest == 0) _state.Count--;
            }
            else
            {
                _state.Count--;
                continue;
            }

            place.Position = position;
            instruction++;
            return true;
        }

        (instruction, position) = (-1, -1);
        return false;
    }

    /// <summary>Runs as far as the set and the limit go; <paramref name="least"/> is where the least length ends.</summary>
    private bool Run(PatternInstruction step, ref int position, out int least)
    {
        int count = 0, start = position;
        least = position;
        while (count < step.Max && Is(step.Set!, position, out int length))
        {
            position += length;
            if (++count == step.Min) least = position;
        }

        _state.Steps -= (position - start) >> 4;
        return count >= step.Min;
    }

    private void Push(int instruction, int position, int rest)
    {
        if (!_state.Push(instruction, position, rest)) throw TooLong();
    }

    private bool IsAt(PatternPlace place, int at)
    {
        switch (place)
        {
            case PatternPlace.LineStart: return at == 0 || (_text[at - 1] == '\n' && at < _text.Length);
            case PatternPlace.LineEnd: return at == _text.Length || _text[at] == '\n';
            case PatternPlace.TextStart: return at == 0;
            case PatternPlace.TextEnd: return at == _text.Length;
            case PatternPlace.LastLineEnd: return at == _text.Length || (at == _text.Length - 1 && _text[at] == '\n');
            default:
                bool isEdge = IsBehind(Pattern.Word, at) != Is(Pattern.Word, at, out _);
                return isEdge == (place == PatternPlace.WordEdge);
        }
    }

    private InputException TooLong() => new(
        $"The tokenizer's regular expression {Shown.Quoted(_source)} takes more than {Pattern.StepsPerCharacter} steps a character on this "
        + "text. Split the text, or score token ids made elsewhere (\"input_ids\").");
}
