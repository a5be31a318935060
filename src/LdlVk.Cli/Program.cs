using System.Runtime.InteropServices;
using LdlVk.Cli;
using LdlVk.Cli.Output;

if (!FileHandleLimit.IsEnough()) return ExitCode.WrongCall;

// The first Ctrl-C or SIGTERM ends the work between two micro-batches and cleans up; a second one ends the process at once.
// A program that is called so, without a word, is what a stranger has started by a double click: it leaves its file beside itself.
bool isFirstContact = args.Length == 0
    && Path.GetFileNameWithoutExtension(Environment.ProcessPath)?.StartsWith("first-contact", StringComparison.Ordinal) == true;
if (isFirstContact)
{
    string folder = Path.GetDirectoryName(Environment.ProcessPath)!;
    args = ["first-contact", "--output", Path.Combine(folder, FirstContactFile.Name)];
}

using CancellationTokenSource stop = new();
int signalled = 0;
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => Stop(signal, ExitCode.Interrupted));
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => Stop(signal, ExitCode.Terminated));
using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal => Stop(signal, ExitCode.HungUp));
int code = await CommandLine.RunAsync(args, Terminal.OfProcess(), stop.Token);
if (isFirstContact && OperatingSystem.IsWindows() && !Console.IsInputRedirected)
{
    // The window closes with the program.
    Console.WriteLine("Press Enter to close.");
    Console.ReadLine();
}

return code == ExitCode.Interrupted ? signalled : code;

void Stop(PosixSignalContext signal, int exitCode)
{
    bool isFirst = Interlocked.CompareExchange(ref signalled, exitCode, 0) == 0;
    // A terminal that is closed sends SIGHUP twice, by its shell and by the kernel, and systemd's SendSIGHUP sends it after SIGTERM: it is
    // nobody's wish to end at once.
    signal.Cancel = isFirst || signal.Signal == PosixSignal.SIGHUP;
    if (!isFirst) return;
    stop.Cancel();
}
