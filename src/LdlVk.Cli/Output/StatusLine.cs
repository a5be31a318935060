using System.Diagnostics;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Output;

/// <summary>One line on standard error that shows how far the work is, if a person looks at it. Thread-safe.</summary>
internal sealed class StatusLine(Terminal terminal, bool quiet) : IDisposable
{
    private const string ReturnAndErase = "\r\e[K";
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(0.1);

    private readonly bool _enabled = terminal.ErrorIsScreen && !quiet;
    private readonly Stopwatch _sinceShown = new();
    private readonly Lock _gate = new();
    private bool _shown;

    /// <summary>Shows a status, unless one was shown just now.</summary>
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

    /// <summary>Takes the line away.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_shown) terminal.Error.Write(ReturnAndErase);
            _shown = false;
        }
    }
}
