using System.CommandLine;
using System.Globalization;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Hub;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk pull</c>: brings a model from a hub.</summary>
internal static class PullCommand
{
    private const string EndpointVariable = "HF_ENDPOINT", TokenVariable = "HF_TOKEN";

    private const string Notes = """
        After an interruption of any kind the same command continues: bytes with the right checksum are kept, also the beginning of a file.
        Files that a model does not need are left out. With --weights the layers are converted as they come, and the originals are never on
        the disk all at once. A token is sent to the hub only, not to the hosts to which it redirects.
        """;

    public static Command Create(Terminal terminal)
    {
        Argument<string> model = new("REPO") { Description = "A repository, as OWNER/NAME, or the address of its page." };
        Argument<string?> folder = new("DIR")
        {
            Description = "Folder to write: new, empty, or begun by this command [default: NAME].",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<string?> revision = new("--revision") { Description = "Branch, tag or commit [default: main].", HelpName = "REV" };
        Option<string?> endpoint = new("--endpoint")
        {
            Description = $"Address of another hub, or of a mirror [default: {EndpointVariable}, or {HubRepository.DefaultEndpoint}].",
            HelpName = "URL",
        };
        Option<string?> token = new("--token-file")
        {
            Description = $"File with a token, for models that are not for everybody [default: the token in {TokenVariable}].",
            HelpName = "FILE",
        };
        Option<string?> weights = new("--weights")
        {
            Description = "Convert the layers on the way, as ldlvk convert does.",
            HelpName = "fp16|int8|int4",
        };
        Option<string[]> include = new("--include")
        {
            Description = "Also files of this name, with * and ?; may be repeated.",
            HelpName = "PATTERN",
        };
        Option<string[]> exclude = new("--exclude")
        {
            Description = "No files of this name, with * and ?; may be repeated.",
            HelpName = "PATTERN",
        };
        Option<bool> quiet = ModelFlags.CreateQuiet();
        NotedCommand command = new("pull", "Download a model from Hugging Face or a mirror.", Notes)
        {
            model,
            folder,
            revision,
            endpoint,
            token,
            weights,
            include,
            exclude,
            quiet,
        };
        command.SetAction(async (call, cancellationToken) =>
        {
            HubRepository repository = HubRepository.Parse(
                call.GetValue(model)!, call.GetValue(revision), call.GetValue(endpoint) ?? Variable(EndpointVariable));
            WeightFormat? format = call.GetValue(weights) is { } name ? Formats.ReadConvertible(name) : null;
            string to = call.GetValue(folder) is { Length: > 0 } given ? given : repository.Name.Split('/')[^1];
            using StatusLine status = new(terminal, call.GetValue(quiet));
            using HubClient client = new(repository, Token(call.GetValue(token)))
            {
                Waiting = why =>
                {
                    status.Dispose();
                    if (!call.GetValue(quiet)) terminal.Say(why);
                },
            };
            Pull pull = new(client, new PullStatus(repository, status))
            {
                Include = call.GetValue(include) ?? [],
                Exclude = call.GetValue(exclude) ?? [],
                Weights = format,
            };
            PullResult result;
            try
            {
                result = await pull.RunAsync(to, cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!call.GetValue(quiet))
            {
                status.Dispose();
                terminal.Say("the same command goes on from here.");
                throw;
            }

            status.Dispose();
            Show(result, repository, format, terminal);
            return ExitCode.Success;
        });
        return command;
    }

    private static void Show(PullResult result, HubRepository repository, WeightFormat? weights, Terminal terminal)
    {
        using Screen screen = new(terminal);
        screen.Line(
            $"{Screen.Safe(result.Folder)}: {repository.Name} at {result.Commit}, "
                + $"{Readable.Bytes(result.Bytes)}{(weights is { } format ? $", converted to {Readable.Name(format)} weights" : "")}");
        if (result.Downloaded == 0)
        {
            screen.Line("It was complete already.");
            return;
        }

        double seconds = Math.Max(1e-3, result.Time.TotalSeconds);
        screen.Line(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{Readable.Bytes(result.Downloaded)} downloaded in {seconds:F1} s, "
                    + $"{Readable.Bytes((long)(result.Downloaded / seconds))}/s; all files have their checksums"));
    }

    private static string? Token(string? path)
    {
        if (path is not null && !File.Exists(path)) throw new UsageException($"There is no file {path} for --token-file.");
        string? token = path is not null ? File.ReadAllText(path).Trim() : Variable(TokenVariable)?.Trim();
        if (token is null or { Length: > 0 and <= 1000 } && token?.All(c => c is > ' ' and < '\x7f') != false) return token;
        throw new UsageException($"{(path is null ? TokenVariable : path)} holds no token: it must be one word.");
    }

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
