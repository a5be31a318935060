namespace LdlVk.Cli;

/// <summary>Exit codes of the process.</summary>
internal static class ExitCode
{
    /// <summary>Success; also if the reader of standard output has exited, as with <c>| head</c>.</summary>
    public const int Success = 0;

    /// <summary>The machine failed: a device, a disk, or memory.</summary>
    public const int MachineFailed = 1;

    /// <summary>The command line or the checkpoint is invalid.</summary>
    public const int WrongCall = 2;

    /// <summary>Some lines could not be scored, or two traces differ.</summary>
    public const int SomeFailed = 3;

    /// <summary>Another run writes the same output: schedulers may try again later.</summary>
    public const int Busy = 4;

    /// <summary>Ended because its terminal was closed: 128 + SIGHUP, as in shells.</summary>
    public const int HungUp = 129;

    /// <summary>Ended by Ctrl-C: 128 + SIGINT, as in shells.</summary>
    public const int Interrupted = 130;

    /// <summary>Ended by kill: 128 + SIGTERM, as in shells.</summary>
    public const int Terminated = 143;
}
