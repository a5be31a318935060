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

    /// <summary>Shows a status, at most a few times per second. It takes a line at most, however narrow the window is.</summary>
    public void Show(Func<string> status)
    {
        if (!_enabled) return;
        lock (_gate)
        {
            if (_sinceShown.IsRunning && _sinceShown.Elapsed < Pause) return;
            int width = Math.Min(terminal.Width(), 80) - (terminal.ScreenEncoding == PlainText.Ascii ? 3 : 1); // "..." for one sign
            if (width < 1) return;
            terminal.Status = this;
            terminal.WriteStatus(ReturnAndErase + Readable.OneLine(status(), width));
            _shown = true;
            _sinceShown.Restart();
        }
    }

    /// <summary>Erases the line, before something else is written.</summary>
    public void Erase()
    {
        lock (_gate)
        {
            if (_shown) terminal.WriteStatus(ReturnAndErase);
            _shown = false;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Erase();
        if (terminal.Status == this) terminal.Status = null;
    }
}
