namespace LdlVk.Cli.Output;

/// <summary>
/// Standard error, which drops what cannot be written: a full disk under a log must not end the run, whose results are elsewhere.
/// </summary>
/// <param name="inner">The stream of the process.</param>
internal sealed class MessageStream(Stream inner) : WriteOnlyStream(inner)
{
    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        try
        {
            Inner.Write(buffer);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Nobody can be told.
        }
    }
}
