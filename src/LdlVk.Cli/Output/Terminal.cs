using System.Text;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Files;
using LdlVk.Runtime.Formatting;
using Microsoft.Win32.SafeHandles;

namespace LdlVk.Cli.Output;

/// <summary>The standard streams of a command. Results go to <see cref="Out"/>, everything else to <see cref="Error"/>.</summary>
internal sealed class Terminal
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    /// <summary>Standard input.</summary>
    public required Stream In { get; init; }

    /// <summary>Standard output.</summary>
    public required Stream Out { get; init; }

    /// <summary>Standard error.</summary>
    public required TextWriter Error { get; init; }

    /// <summary>Whether <see cref="Out"/> is a terminal.</summary>
    public bool OutIsScreen { get; init; }

    /// <summary>Whether <see cref="Error"/> is a terminal.</summary>
    public bool ErrorIsScreen { get; init; }

    /// <summary>Number of columns of the terminal.</summary>
    public Func<int> Width { get; init; } = () => 80;

    /// <summary>Encoding of text on the terminal; results in files and pipes are UTF-8 always.</summary>
    public Encoding ScreenEncoding { get; init; } = Utf8;

    /// <summary>Where the progress line is written, which passes by what erases it; null for <see cref="Error"/>.</summary>
    public Stream? StatusStream { get; init; }

    /// <summary>The progress line that is shown; null if there is none.</summary>
    public StatusLine? Status { get; set; }

    /// <summary>Identities of the files behind the streams, by the number of their descriptor; empty if there are none.</summary>
    public IReadOnlyDictionary<int, FileIdentity> Files { get; init; } = new Dictionary<int, FileIdentity>();

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

        Terminal? terminal = null;
        Stream output = StandardOutput.Open(), error = new MessageStream(Console.OpenStandardError());
        Encoding encoding = OperatingSystem.IsWindows() || PlainText.IsUnicode(Environment.GetEnvironmentVariable) ? Utf8 : PlainText.Ascii;
        return terminal = new Terminal
        {
            In = Console.OpenStandardInput(),
            Out = outIsScreen && errorIsScreen ? new ScreenStream(output, EraseStatus) : output,
            Error = TextWriter.Synchronized(errorIsScreen
                ? new StreamWriter(new ScreenStream(error, EraseStatus), encoding) { AutoFlush = true }
                : new StreamWriter(error, Utf8) { AutoFlush = true }),
            StatusStream = error,
            Width = WindowWidth,
            ScreenEncoding = encoding,
            OutIsScreen = outIsScreen,
            ErrorIsScreen = errorIsScreen,
            Files = OperatingSystem.IsLinux() ? StandardFiles() : new Dictionary<int, FileIdentity>(),
        };

        void EraseStatus() => terminal?.Status?.Erase();
    }

    /// <summary>Writes a part of the progress line.</summary>
    public void WriteStatus(string text)
    {
        if (StatusStream is null) Error.Write(text);
        else StatusStream.Write(ScreenEncoding.GetBytes(text));
    }

    private static int WindowWidth()
    {
        try
        {
            return Console.WindowWidth is > 0 and var width ? width : 80;
        }
        catch (IOException)
        {
            return 80; // not known
        }
    }

    private static Dictionary<int, FileIdentity> StandardFiles()
    {
        Dictionary<int, FileIdentity> files = [];
        for (int descriptor = 0; descriptor <= 2; descriptor++)
        {
            using SafeFileHandle handle = new(descriptor, ownsHandle: false);
            if (FileIdentity.Of(handle) is { } file) files.Add(descriptor, file);
        }

        return files;
    }

    /// <summary><see cref="Out"/> or another stream for text; disposing the writer leaves the stream open.</summary>
    public TextWriter OpenText(Stream? stream = null) =>
        new StreamWriter(stream ?? Out, OutIsScreen && (stream ?? Out) == Out
            ? ScreenEncoding : Utf8, leaveOpen: true) { AutoFlush = true };

    /// <summary>Opens an output; <c>-</c> and null are <see cref="Out"/>.</summary>
    /// <param name="path">Value of the flag.</param>
    /// <param name="flag">Name of the flag.</param>
    /// <param name="isLines">Whether a failed run keeps the lines written so far.</param>
    /// <param name="isResults">Whether lines of results become Parquet if the file's name says so.</param>
    /// <exception cref="UsageException">The file cannot be created.</exception>
    public OutputFile OpenOutput(string? path, string flag, bool isLines = false, bool isResults = false) =>
        path is null or "-" ? OutputFile.Of(Out) : OutputFile.Open(path, flag, isLines ? SayKept : null, isResults);

    /// <summary>Opens an input; <c>-</c> is <see cref="In"/>.</summary>
    /// <exception cref="UsageException">The file does not exist or cannot be read.</exception>
    public LineSource OpenInput(string path, CancellationToken cancellationToken) =>
        path == "-" ? LineSource.Of(In, cancellationToken) : LineSource.Open(path, "--input", cancellationToken);

    /// <summary>Tells the user where the results of a failed run are.</summary>
    private void SayKept(long lines, string path) => Say($"{Kept(lines, path)}.");

    /// <summary>Returns the message about the results of a failed run.</summary>
    public static string Kept(long lines, string path) =>
        $"the first {Readable.Plural(lines, "result")} {(lines == 1 ? "is" : "are")} kept in {path}";

    /// <summary>Writes a message to the user, on one line.</summary>
    public void Say(string message) => Error.WriteLine($"ldlvk: {Readable.OneLine(message)}");
}
