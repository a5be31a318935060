namespace LdlVk.Runtime.Text.Patterns;

/// <summary>The work that searches may still do, and the places to which a match can go back. Not thread-safe.</summary>
internal sealed class MatchState
{
    private const int MaxPlaces = 1 << 21;

    /// <summary>A place to go back to.</summary>
    /// <param name="Instruction">The instruction that goes on there.</param>
    /// <param name="Position">Index in the text.</param>
    /// <param name="Rest">
    /// Of a run, where its least length ends; of a lazy run, how many more characters it may take; -1 for all others.
    /// </param>
    internal record struct Place(int Instruction, int Position, int Rest);

    /// <summary>The places; those below <see cref="Count"/> count.</summary>
    public Place[] Places { get; private set; } = new Place[32];

    /// <summary>Number of places.</summary>
    public int Count { get; set; }

    /// <summary>Steps that are left.</summary>
    public long Steps { get; set; } = 1 << 16;

    /// <summary>Adds a place; false if there are too many.</summary>
    public bool Push(int instruction, int position, int rest)
    {
        if (Count == Places.Length)
        {
            if (Count >= MaxPlaces) return false;
            Place[] larger = new Place[Count * 2];
            Places.CopyTo(larger, 0);
            Places = larger;
        }

        Places[Count++] = new(instruction, position, rest);
        return true;
    }
}
