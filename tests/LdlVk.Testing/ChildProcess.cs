using System.Diagnostics;

namespace LdlVk.Testing;

/// <summary>Starts programs that tests send signals to.</summary>
public static class ChildProcess
{
    private static readonly bool ResetsSignals = OperatingSystem.IsLinux() && EnvResetsSignals();

    /// <summary>
    /// How to start a program so that SIGINT ends it. A shell ignores SIGINT for what it runs in the background, a child inherits that, and
    /// .NET leaves an ignored signal ignored: tests of Ctrl-C failed where the suite was started with <c>&amp;</c> or <c>nohup</c>.
    /// </summary>
    public static ProcessStartInfo WithDefaultSignals(string program, IEnumerable<string> arguments) =>
        ResetsSignals ? new ProcessStartInfo("/usr/bin/env", ["--default-signal=INT", program, .. arguments]) : new ProcessStartInfo(program, arguments);

    /// <summary>Whether env has the option: coreutils of 8.31 and later.</summary>
    private static bool EnvResetsSignals()
    {
        if (!File.Exists("/usr/bin/env")) return false;
        using Process env = Process.Start(new ProcessStartInfo("/usr/bin/env", ["--default-signal=INT", "true"]) { RedirectStandardError = true })!;
        env.StandardError.ReadToEnd();
        env.WaitForExit();
        return env.ExitCode == 0;
    }
}
