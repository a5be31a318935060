using System.Text;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Output;

/// <summary>Where a command reads from and writes to. Results go to <see cref="Out"/>, everything else to <see cref="Error"/>.</summary>
internal sealed class Terminal
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    /// <summary>Standard input.</summary>
    public required Stream In { get; init; }

    /// <summary>Standard output.</summary>
    public required Stream Out { get; init; }

    /// <summary>Standard error.</summary>
    public required TextWriter Error { get; init; }

    /// <summary>Whether a person looks at <see cref="Out"/>.</summary>
    public bool OutIsScreen { get; init; }

    /// <summary>Whether a person looks at <see cref="Error"/>.</summary>
    public bool ErrorIsScreen { get; init; }

    /// <summary>The terminal of this process.</summary>
    public static Terminal OfProcess()
    {
        bool outIsScreen = !Console.IsOutputRedirected, errorIsScreen = !Console.IsErrorRedirected;
        if (OperatingSystem.IsWindows() && (outIsScreen || errorIsScreen))
        {
            Console.OutputEncoding = Utf8;
            outIsScreen = outIsScreen && WindowsConsole.UnderstandsEscapes(WindowsConsole.StandardOutput);
            errorIsScreen = errorIsScreen && WindowsConsole.UnderstandsEscapes(WindowsConsole.StandardError);
        }
        return new Terminal
        {
            In = Console.OpenStandardInput(),
            Out = StandardOutput.Open(),
            Error = TextWriter.Synchronized(new StreamWriter(Console.OpenStandardError(), Utf8) { AutoFlush = true }),
            OutIsScreen = outIsScreen,
            ErrorIsScreen = errorIsScreen,
        };
    }

    /// <summary><see cref="Out"/> or another stream for text; disposing the writer leaves the stream open.</summary>
    public TextWriter OpenText(Stream? stream = null) => new StreamWriter(stream ?? Out, Utf8, leaveOpen: true) { AutoFlush = true };

    /// <summary>Opens an output; <c>-</c> and null are <see cref="Out"/>.</summary>
    /// <param name="path">Value of the flag.</param>
    /// <param name="flag">Name of the flag.</param>
    /// <param name="isLines">Whether the lines of a run that failed are kept.</param>
    /// <exception cref="UsageException">The file cannot be made there.</exception>
    public OutputFile OpenOutput(string? path, string flag, bool isLines = false) =>
        path is null or "-" ? OutputFile.Of(Out) : OutputFile.Open(path, flag, isLines ? SayKept : null);

    /// <summary>Opens an input; <c>-</c> is <see cref="In"/>.</summary>
    /// <exception cref="UsageException">There is no such file, or it cannot be read.</exception>
    public LineSource OpenInput(string path, CancellationToken cancellationToken) =>
        path == "-" ? LineSource.Of(In, cancellationToken) : LineSource.Open(path, "--input", cancellationToken);

    /// <summary>Says where the results of a run that failed are.</summary>
    private void SayKept(long lines, string path) => Say($"{Kept(lines, path)}.");

    /// <summary>The words for results of a run that failed.</summary>
    public static string Kept(long lines, string path) =>
        $"the first {Readable.Plural(lines, "result")} {(lines == 1 ? "is" : "are")} kept in {path}";

    /// <summary>Says something to the user, on one line.</summary>
    public void Say(string message) => Error.WriteLine($"ldlvk: {Readable.OneLine(message)}");
}
