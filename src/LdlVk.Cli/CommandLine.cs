using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Reflection;
using LdlVk.Cli.Commands;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Runtime.Files;

namespace LdlVk.Cli;

/// <summary>The root command <c>ldlvk</c>: its subcommands, and the reporting of errors.</summary>
internal static class CommandLine
{
    private const string Name = "ldlvk";

    /// <summary>Environment variable that, if 1, adds stack traces to errors.</summary>
    private const string DebugVariable = "LDLVK_DEBUG";

    /// <summary>Runs a command line.</summary>
    /// <returns>The process's exit code, see <see cref="ExitCode"/>.</returns>
    public static async Task<int> RunAsync(string[] args, Terminal terminal, CancellationToken cancellationToken)
    {
        try
        {
            // No response files, because a prompt may begin with '@'. No bundling, because every flag has one spelling.
            ParserConfiguration parser = new() { ResponseFileTokenReplacer = null, EnablePosixBundling = false };
            ParseResult call = CreateRoot(terminal).Parse(args.Length == 0 ? ["--help"] : args, parser);
            if (call.Errors.Count > 0 && call.Action is not NotedHelp) throw Wrong(call);
            if (Mistyped(call, args) is { } flag) throw NoSuchFlag(call.CommandResult.Command, flag);
            if (call.Action is not HelpAction and not NotedHelp) PathFlags.Check(call, terminal);
            using TextWriter output = terminal.OpenText();
            InvocationConfiguration invocation = new()
            {
                Output = output,
                Error = terminal.Error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
            };
            return await call.InvokeAsync(invocation, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            return Report(e, terminal, cancellationToken);
        }
    }

    internal static Command CreateRoot(Terminal terminal) =>
        new(
            Name,
            "Scores conversations with the reward model LDL-Reward-Gemma-2-27B and its neighbors on any GPU (Vulkan, DirectML) or the CPU.")
    {
        new HelpOption { Description = "Show help for a command and its flags.", Action = new NotedHelp() },
        new Option<bool>("--version") { Description = "Show the version.", Action = new VersionAction() },
        DemoCommand.Create(terminal),
        DevicesCommand.Create(terminal),
        SelfTestCommand.Create(terminal),
        FirstContactCommand.Create(terminal),
        InspectCommand.Create(terminal),
        ModelsCommand.Create(terminal),
        VerifyCommand.Create(terminal),
        ScoreCommand.Create(terminal),
        MergeCommand.Create(terminal),
        CompareCommand.Create(terminal),
        RankCommand.Create(terminal),
        PullCommand.Create(terminal),
        EvalCommand.Create(terminal),
        FidelityCommand.Create(terminal),
        ServeCommand.Create(terminal),
        ConvertCommand.Create(terminal),
        RenderCommand.Create(terminal),
        TokenizeCommand.Create(terminal),
        TraceCommand.Create(terminal),
        BenchCommand.Create(terminal),
        TuneCommand.Create(terminal),
    };

    private static UsageException Wrong(ParseResult call)
    {
        CommandResult command = call.CommandResult;
        bool isRoot = command.Command.Name == Name;
        string path = isRoot ? Name : $"{Name} {command.Command.Name}";
        // A word that is not known makes errors of what follows from it too: the word alone is said.
        string? word = call.UnmatchedTokens.FirstOrDefault(token => token.All(c => char.IsAsciiLetterOrDigit(c) || c is '-'));
        bool isFlag = word?.StartsWith("--", StringComparison.Ordinal) == true;
        if (word is null || (!isRoot && !isFlag))
            return new UsageException($"{string.Join(" ", call.Errors.Select(e => e.Message))} See {path} --help.");
        return isFlag ? NoSuchFlag(command.Command, word)
            : new UsageException($"There is no command {word}.{Meant(command.Command.Subcommands, word)} See {path} --help.");
    }

    private static UsageException NoSuchFlag(Command command, string flag)
    {
        string path = command.Name == Name ? Name : $"{Name} {command.Name}";
        return new UsageException($"There is no flag {flag} of {path}.{Meant(command.Options, flag)} See {path} --help.");
    }

    private static string Meant(IEnumerable<Symbol> symbols, string word)
    {
        string? near = symbols.Select(symbol => symbol.Name).MinBy(name => Typing.Distance(name, word));
        return near is not null && Typing.Distance(near, word) <= 2 ? $" Did you mean {near}?" : "";
    }

    /// <summary>
    /// A word that looks like a flag and was taken for an argument, such as a file's name; null if there is none. Behind a word "--" all
    /// are arguments.
    /// </summary>
    private static string? Mistyped(ParseResult call, string[] args) => args.Contains("--") ? null : call.CommandResult.Children
        .OfType<ArgumentResult>().SelectMany(argument => argument.Tokens).Select(token => token.Value)
        .FirstOrDefault(word => word.StartsWith("--", StringComparison.Ordinal));

    /// <summary>Says on standard error what went wrong.</summary>
    /// <returns>The exit code for it.</returns>
    internal static int Report(Exception error, Terminal terminal, CancellationToken cancellationToken)
    {
        if (error is AggregateException { InnerExceptions: [{ } only] }) error = only;
        if (error is BrokenPipeException) return ExitCode.Success;
        (int code, string message) = error switch
        {
            OperationCanceledException when cancellationToken.IsCancellationRequested => (ExitCode.Interrupted, "stopped."),
            InputException e => (ExitCode.SomeFailed, e.Notice.InFlags()),
            LdlVkException e and (UsageException or CheckpointException) => (ExitCode.WrongCall, e.Notice.InFlags()),
            BusyException e => (ExitCode.Busy, e.Notice.InFlags()),
            DeviceException e => (ExitCode.MachineFailed, e.Notice.InFlags()),
            IOException or UnauthorizedAccessException => (ExitCode.MachineFailed, error.Message),
            _ when FileLimit.IsExceeded(error) => (
                ExitCode.MachineFailed,
                "a file would become larger than its file system or this process's limit (ulimit -f) permits. Write to another disk, or "
                + "raise the limit."),
            OutOfMemoryException => (
                ExitCode.MachineFailed,
                "out of memory. Use smaller --batch-tokens or --weights int8 or int4, or a machine with more memory."),
            _ => (
                ExitCode.MachineFailed,
                $"internal error: {error.GetType().Name}: {error.Message} Please report it, "
                + $"with the stack trace that {DebugVariable}=1 shows."),
        };
        terminal.Say(message);
        if (Environment.GetEnvironmentVariable(DebugVariable) == "1") terminal.Error.WriteLine(error);
        return code;
    }

    private sealed class VersionAction : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            string? version =
                typeof(CommandLine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
            parseResult.InvocationConfiguration.Output.WriteLine($"{Name} {version}");
            return ExitCode.Success;
        }
    }
}
