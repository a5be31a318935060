using Microsoft.Win32.SafeHandles;

namespace LdlVk.Cli.Output;

/// <summary>The reader of standard output has exited, so no message is needed.</summary>
internal sealed class BrokenPipeException(IOException inner) : IOException(inner.Message, inner);

/// <summary>
/// Standard output that throws if its reader has exited. .NET's own stream ignores that error, and a long run piped into <c>head</c> would
/// compute to its end in vain.
/// </summary>
internal sealed class StandardOutput(Stream pipe) : WriteOnlyStream(pipe)
{
    private const int BrokenPipe = 32; // EPIPE, which .NET stores in HResult

    /// <summary>Standard output of this process.</summary>
    public static Stream Open()
    {
        if (OperatingSystem.IsWindows() || !Console.IsOutputRedirected) return Console.OpenStandardOutput();
        FileStream direct = new(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
        // A FileStream has its own file position, so two writers to one file (2>&1) would overwrite each other.
        return direct.CanSeek ? Console.OpenStandardOutput() : new StandardOutput(direct);
    }

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        try
        {
            Inner.Write(buffer);
        }
        catch (IOException e) when (e.HResult == BrokenPipe)
        {
            throw new BrokenPipeException(e);
        }
    }
}
