using Spectre.Console;

namespace LdlVk.Cli.Output;

/// <summary>Colours for people, plain text for pipes and files.</summary>
internal sealed class Screen : IDisposable
{
    /// <summary>No line is broken when nobody looks: what is printed fits in 80 columns, and longer names should stay whole.</summary>
    private const int Unlimited = 1 << 20;

    private readonly TextWriter _writer;
    private readonly IAnsiConsole _console;

    /// <param name="terminal">Whose standard output it is.</param>
    /// <param name="output">Another place to write to; null for standard output.</param>
    public Screen(Terminal terminal, Stream? output = null)
    {
        _writer = terminal.OpenText(output);
        bool colours = terminal.OutIsScreen && (output is null || output == terminal.Out)
            && Environment.GetEnvironmentVariable("NO_COLOR") is null or ""
            && Environment.GetEnvironmentVariable("TERM") != "dumb";
        _console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = colours ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = colours ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(_writer),
        });
        _console.Profile.Width = Unlimited;
    }

    /// <summary>Writes a line of Spectre markup; what comes from outside goes through <see cref="Safe"/>.</summary>
    public void Line(string markup = "") => _console.MarkupLine(markup);

    /// <summary>A text that came from outside, for use in <see cref="Line"/>.</summary>
    public static string Safe(string text) => Markup.Escape(Text.OneLine(text));

    /// <inheritdoc/>
    public void Dispose() => _writer.Dispose();
}
