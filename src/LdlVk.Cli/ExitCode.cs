namespace LdlVk.Cli;

/// <summary>What the process tells its caller.</summary>
internal static class ExitCode
{
    /// <summary>All went well; also when the reader of standard output has gone, as with <c>| head</c>.</summary>
    public const int Success = 0;

    /// <summary>The machine failed: a device, a disk, memory.</summary>
    public const int MachineFailed = 1;

    /// <summary>The call or the checkpoint is wrong.</summary>
    public const int WrongCall = 2;

    /// <summary>Some lines could not be scored, or two traces differ.</summary>
    public const int SomeFailed = 3;

    /// <summary>Ctrl-C, as shells count it: 128 + SIGINT.</summary>
    public const int Interrupted = 130;

    /// <summary>kill, as shells count it: 128 + SIGTERM.</summary>
    public const int Terminated = 143;
}
