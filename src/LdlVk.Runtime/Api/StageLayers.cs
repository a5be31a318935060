namespace LdlVk;

/// <summary>The layers of a stage, and which of them are on its device all the time.</summary>
/// <param name="First">The first layer.</param>
/// <param name="Count">How many there are.</param>
/// <param name="Streamed">How many of them are brought to the device when their turn comes, evenly spread; 0 if all stay there.</param>
/// <param name="Slots">Layers' worth of device memory that those take turns in; 0 if all stay.</param>
/// <param name="InHostMemory">Whether those are kept in host memory as the device reads them fastest; else they are read from the
/// checkpoint each time.</param>
public sealed record StageLayers(int First, int Count, int Streamed = 0, int Slots = 0, bool InHostMemory = false)
{
    /// <summary>
    /// Rows of a feed-forward network that are computed at a time, as far as there is memory for more than the least number that suits the
    /// device; 0 for that number. No bit depends on it.
    /// </summary>
    public int FeedForwardRows { get; init; }

    /// <summary>The layer after the last.</summary>
    public int End => First + Count;
}
