using LdlVk.Runtime.Formatting;
using Spectre.Console;

namespace LdlVk.Cli.Output;

/// <summary>Writes colors to terminals, and plain text to pipes and files.</summary>
internal sealed class Screen : IDisposable
{
    /// <summary>Width of pipes and files, where no line is wrapped: tables fit in 80 columns, and longer names stay whole.</summary>
    private const int Unlimited = 1 << 20;

    private readonly TextWriter _writer;
    private readonly IAnsiConsole _console;

    /// <param name="terminal">The terminal whose standard output is used.</param>
    /// <param name="output">The output; null for standard output.</param>
    public Screen(Terminal terminal, Stream? output = null)
    {
        _writer = terminal.OpenText(output);
        bool colors = terminal.OutIsScreen && (output is null || output == terminal.Out)
            && Environment.GetEnvironmentVariable("NO_COLOR") is null or ""
            && Environment.GetEnvironmentVariable("TERM") != "dumb";
        _console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = colors ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = colors ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(_writer),
        });
        _console.Profile.Width = Unlimited;
    }

    /// <summary>Writes a line of Spectre markup. External text must go through <see cref="Safe"/>.</summary>
    public void Line(string markup = "") => _console.MarkupLine(markup);

    /// <summary>Escapes external text for <see cref="Line"/>.</summary>
    public static string Safe(string text) => Markup.Escape(Readable.OneLine(text));

    /// <summary>
    /// Returns a bar of <paramref name="width"/> columns, filled up to <paramref name="share"/> (0 to 1), in eighths of a column.
    /// </summary>
    public static string Bar(double share, int width)
    {
        const string Eighths = " ▏▎▍▌▋▊▉";
        int filled = (int)Math.Round(Math.Clamp(share, 0, 1) * width * 8), whole = filled / 8;
        string bar = new string('█', whole) + (filled % 8 > 0 ? Eighths[filled % 8] : "");
        return bar.PadRight(width);
    }

    /// <inheritdoc/>
    public void Dispose() => _writer.Dispose();
}
