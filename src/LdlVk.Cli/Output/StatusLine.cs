using System.Diagnostics;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Output;

/// <summary>A progress line on standard error, shown only if that is a terminal. Thread-safe.</summary>
internal sealed class StatusLine(Terminal terminal, bool quiet) : IDisposable
{
    private const string ReturnAndErase = "\r\e[K";
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(0.1);

    private readonly bool _enabled = terminal.ErrorIsScreen && !quiet;
    private readonly Stopwatch _sinceShown = new();
    private readonly Lock _gate = new();
    private bool _shown;

    /// <summary>Shows a status, at most a few times per second.</summary>
    public void Show(Func<string> status)
    {
        if (!_enabled) return;
        lock (_gate)
        {
            if (_sinceShown.IsRunning && _sinceShown.Elapsed < Pause) return;
            terminal.Error.Write(ReturnAndErase + Readable.OneLine(status(), 79));
            _shown = true;
            _sinceShown.Restart();
        }
    }

    /// <summary>Erases the line.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_shown) terminal.Error.Write(ReturnAndErase);
            _shown = false;
        }
    }
}
