namespace LdlVk.Vulkan.Commands;

/// <summary>
/// The last use that each of two streams made of memory that one computes with while the other, or the host, fills it. Each stream, and the
/// host, waits for the uses of the other.
/// </summary>
/// <param name="computes">The stream that computes.</param>
/// <param name="copies">The stream that copies; null if the host or the first stream fills the memory.</param>
/// <param name="computed">The value of the first one's timeline up to which an earlier owner may use the memory.</param>
internal sealed class SharedUse(CommandStream computes, CommandStream? copies, ulong computed)
{
    /// <summary>The value of the computing stream's timeline at which its last use of the memory is done.</summary>
    public ulong Computed { get; private set; } = computed;

    /// <summary>The value of the copying stream's timeline at which its last copy is done; 0 before the first.</summary>
    public ulong Copied { get; private set; }

    /// <summary>The stream and value that a stream must wait for before it uses the memory; 0 for nothing.</summary>
    public (CommandStream? Other, ulong Value) Before(CommandStream stream) => stream == computes ? (copies, Copied) : (computes, Computed);

    /// <summary>Notes a stream's use of the memory.</summary>
    public void Note(CommandStream stream, ulong value)
    {
        if (stream == computes) Computed = value;
        else Copied = value;
    }
}
