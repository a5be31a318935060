namespace LdlVk.Cli.Output;

/// <summary>A terminal's stream, which erases the progress line before anything else is written beside it.</summary>
/// <param name="inner">The stream of the process.</param>
/// <param name="erase">Erases the progress line.</param>
internal sealed class ScreenStream(Stream inner, Action erase) : WriteOnlyStream(inner)
{
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (buffer.IsEmpty) return;
        erase();
        Inner.Write(buffer);
    }
}
