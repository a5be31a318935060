using System.Runtime.InteropServices;
using LdlVk.Cli;
using LdlVk.Cli.Output;

if (!FileHandleLimit.IsEnough()) return ExitCode.WrongCall;

// The first Ctrl-C or SIGTERM ends the work between two micro-batches and cleans up; a second one ends the process at once.
using CancellationTokenSource stop = new();
int signalled = 0;
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => Stop(signal, ExitCode.Interrupted));
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => Stop(signal, ExitCode.Terminated));
int code = await CommandLine.RunAsync(args, Terminal.OfProcess(), stop.Token);
return code == ExitCode.Interrupted ? signalled : code;

void Stop(PosixSignalContext signal, int exitCode)
{
    if (Interlocked.CompareExchange(ref signalled, exitCode, 0) != 0) return;
    signal.Cancel = true;
    stop.Cancel();
}
