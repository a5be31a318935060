namespace LdlVk.Vulkan.Commands;

/// <summary>
/// Memory that one stream computes with while another, or the host, fills it: the last use that each stream made of it, for the other and
/// the host to wait for.
/// </summary>
/// <param name="computes">The stream that computes.</param>
/// <param name="copies">The stream that copies; null if the host fills it, or the first stream.</param>
/// <param name="computed">The value of the first one's timeline before which the memory may have been anyone's.</param>
internal sealed class SharedUse(CommandStream computes, CommandStream? copies, ulong computed)
{
    /// <summary>The value of the first one's timeline with which its last use of the memory is done.</summary>
    public ulong Computed { get; private set; } = computed;

    /// <summary>The value of the copies' timeline with which the last of them is done; 0 before the first.</summary>
    public ulong Copied { get; private set; }

    /// <summary>What a stream must wait for before it uses the memory; 0 for nothing.</summary>
    public (CommandStream? Other, ulong Value) Before(CommandStream stream) => stream == computes ? (copies, Copied) : (computes, Computed);

    /// <summary>Takes note of a use.</summary>
    public void Note(CommandStream stream, ulong value)
    {
        if (stream == computes) Computed = value;
        else Copied = value;
    }
}
