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
    /// <summary>The layer after the last.</summary>
    public int End => First + Count;
}
