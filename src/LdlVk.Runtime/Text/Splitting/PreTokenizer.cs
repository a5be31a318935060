namespace LdlVk.Runtime.Text.Splitting;

/// <summary>A part of a text on its way to the words.</summary>
/// <param name="text">Its characters.</param>
/// <param name="at">Where it begins in the normalized text.</param>
/// <param name="added">How many characters in front of it are not in the normalized text.</param>
internal readonly ref struct Piece(ReadOnlySpan<char> text, int at, int added)
{
    /// <summary>Its characters.</summary>
    public readonly ReadOnlySpan<char> Text = text;

    /// <summary>Where it begins in the normalized text.</summary>
    public readonly int At = at;

    /// <summary>How many characters in front of it are not in the normalized text.</summary>
    public readonly int Added = added;

    /// <summary>The characters from start to end.</summary>
    public Piece Slice(int start, int end) => new(Text[start..end], Place(start), Math.Max(0, Added - start));

    /// <summary>Where one of its characters, or its end, stands in the normalized text.</summary>
    public int Place(int index) => At + Math.Max(0, index - Added);
}

/// <summary>A step that divides pieces of a text, or changes them. Thread-safe.</summary>
internal abstract class PreTokenizer
{
    /// <summary>The step that takes its pieces; null for the last.</summary>
    public PreTokenizer? Next { get; set; }

    /// <summary>Divides a piece, which is not empty.</summary>
    public abstract void Split(Piece piece, EncodingRun run);

    /// <summary>Hands on a part of a piece, if it is not empty.</summary>
    protected void Pass(Piece piece, EncodingRun run)
    {
        if (piece.Text.IsEmpty) return;
        if (Next is { } next) next.Split(piece, run);
        else run.EncodeWord(piece);
    }
}

/// <summary>What happens to a match where a text is divided by matches.</summary>
internal enum MatchBehavior
{
    /// <summary>It is left out.</summary>
    Removed,

    /// <summary>It is a piece.</summary>
    Isolated,

    /// <summary>It belongs to what stands before it.</summary>
    MergedWithPrevious,

    /// <summary>It belongs to what stands behind it.</summary>
    MergedWithNext,

    /// <summary>Matches beside each other are one piece.</summary>
    Contiguous,
}

/// <summary><c>Split</c>, <c>Punctuation</c>, <c>Digits</c>, <c>Whitespace</c>: divides by the matches of a pattern.</summary>
/// <param name="matcher">Finds them.</param>
/// <param name="behavior">What happens to them.</param>
/// <param name="isInverted">Whether what is between them counts as the match.</param>
internal sealed class MatchSplitter(Matcher matcher, MatchBehavior behavior, bool isInverted) : PreTokenizer
{
    public override void Split(Piece piece, EncodingRun run)
    {
        MatchCursor cursor = new(matcher, piece.Text.Length, run.Matches);
        Pending pending = new();
        int done = 0;
        while (cursor.Next(piece.Text))
        {
            if (done < cursor.Start) Take(piece, done, cursor.Start, isInverted, ref pending, run);
            Take(piece, cursor.Start, cursor.End, !isInverted, ref pending, run);
            done = cursor.End;
        }

        if (done < piece.Text.Length) Take(piece, done, piece.Text.Length, isInverted, ref pending, run);
        Flush(piece, ref pending, run);
    }

    // The piece that the next part may still join, and whether the last part was a match.
    private struct Pending
    {
        public int Start, End;
        public bool IsThere, WasMatch;
    }

    private void Take(Piece piece, int start, int end, bool isMatch, ref Pending pending, EncodingRun run)
    {
        switch (behavior)
        {
            case MatchBehavior.Isolated:
                Pass(piece.Slice(start, end), run);
                return;
            case MatchBehavior.Removed:
                if (!isMatch) Pass(piece.Slice(start, end), run);
                return;
        }

        bool joins = pending.IsThere && behavior switch
        {
            MatchBehavior.Contiguous => isMatch == pending.WasMatch,
            MatchBehavior.MergedWithPrevious => isMatch && !pending.WasMatch,
            _ => !isMatch && pending.WasMatch,
        };
        if (!joins)
        {
            Flush(piece, ref pending, run);
            pending.Start = start;
        }

        (pending.End, pending.IsThere, pending.WasMatch) = (end, true, isMatch);
    }

    private void Flush(Piece piece, ref Pending pending, EncodingRun run)
    {
        if (pending.IsThere) Pass(piece.Slice(pending.Start, pending.End), run);
    }
}

/// <summary>Divides by a <see cref="WordSplitter"/>, whose words cover the text.</summary>
internal sealed class WordStep(WordSplitter words) : PreTokenizer
{
    public override void Split(Piece piece, EncodingRun run)
    {
        int length;
        if (Next is null && run.Ranges is null)
        {
            // The words of most tokenizers end here, and need no places: a third faster than by way of pieces.
            for (ReadOnlySpan<char> rest = piece.Text; rest.Length > 0; rest = rest[length..])
            {
                length = words.Next(rest);
                run.EncodeText(rest[..length]);
            }

            return;
        }

        for (int at = 0; at < piece.Text.Length; at += length)
        {
            length = words.Next(piece.Text[at..]);
            Pass(piece.Slice(at, at + length), run);
        }
    }
}

/// <summary>Puts a space in front of a piece that begins with none: <c>ByteLevel</c> with <c>add_prefix_space</c>.</summary>
internal sealed class SpacePrefixer : PreTokenizer
{
    public override void Split(Piece piece, EncodingRun run) =>
        Pass(piece.Text[0] == ' ' ? piece : new Piece(string.Concat(" ", piece.Text), piece.At, piece.Added + 1), run);
}

/// <summary>When <see cref="Metaspace"/> puts its character in front.</summary>
internal enum PrependScheme
{
    Always,
    First,
    Never,
}

/// <summary><c>Metaspace</c>: a visible character for each space, one more in front, and pieces that begin with it.</summary>
internal sealed class Metaspace(char replacement, PrependScheme scheme, bool splits) : PreTokenizer
{
    public override void Split(Piece piece, EncodingRun run)
    {
        bool prepends = piece.Text[0] != ' ' && piece.Text[0] != replacement
            && (scheme == PrependScheme.Always || (scheme == PrependScheme.First && run.IsFirst(piece)));
        if (prepends || piece.Text.Contains(' '))
        {
            char[] changed = new char[piece.Text.Length + (prepends ? 1 : 0)];
            changed[0] = replacement;
            piece.Text.Replace(changed.AsSpan(prepends ? 1 : 0), ' ', replacement);
            piece = new Piece(changed, piece.At, piece.Added + (prepends ? 1 : 0));
        }

        int start = 0;
        for (int i = 1; splits && i < piece.Text.Length; i++)
        {
            if (piece.Text[i] != replacement) continue;
            Pass(piece.Slice(start, i), run);
            start = i;
        }

        Pass(piece.Slice(start, piece.Text.Length), run);
    }
}
