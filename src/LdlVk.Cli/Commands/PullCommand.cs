using System.CommandLine;
using System.Globalization;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Hub;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk pull</c>: downloads a model from a hub.</summary>
internal static class PullCommand
{
    private const string EndpointVariable = "HF_ENDPOINT", TokenVariable = "HF_TOKEN";

    private const string Notes = """
        After an interruption, the same command continues: it keeps downloaded data, also of incomplete files, if the checksum is right.
        Files that the model does not need are skipped. --weights converts the layers during the download, so that the originals are never
        all on the disk. The token is sent only to the hub, not to hosts that it redirects to.
        """;

    public static Command Create(Terminal terminal)
    {
        Argument<string> model = new("REPO") { Description = "A repository, as OWNER/NAME, or the address of its page." };
        Argument<string?> folder = new("DIR")
        {
            Description = "Folder to write: new, empty, or an unfinished download by this command [default: NAME].",
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
            Description = $"File with a token, for models with restricted access [default: the token in {TokenVariable}].",
            HelpName = "FILE",
        };
        Option<string?> weights = new("--weights")
        {
            Description = "Convert the layers during the download, like ldlvk convert.",
            HelpName = "fp16|int8|int4",
        };
        Option<string?> head = HeadFlags.CreateHead();
        Option<string[]> include = new("--include")
        {
            Description = "Also download files of this name, which may contain * and ?; may be repeated.",
            HelpName = "PATTERN",
        };
        Option<string[]> exclude = new("--exclude")
        {
            Description = "Skip files of this name, which may contain * and ?; may be repeated.",
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
            head,
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
                Head = call.GetValue(head),
            };
            PullResult result;
            try
            {
                result = await pull.RunAsync(to, cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!call.GetValue(quiet))
            {
                status.Dispose();
                terminal.Say("run the same command again to continue.");
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
            screen.Line("It was already complete.");
            return;
        }

        double seconds = Math.Max(1e-3, result.Time.TotalSeconds);
        screen.Line(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{Readable.Bytes(result.Downloaded)} downloaded in {seconds:F1} s, "
                    + $"{Readable.Bytes((long)(result.Downloaded / seconds))}/s; all checksums match"));
    }

    private static string? Token(string? path)
    {
        if (path is not null && !File.Exists(path)) throw new UsageException($"There is no file {path} for --token-file.");
        string? token = path is not null ? File.ReadAllText(path).Trim() : Variable(TokenVariable)?.Trim();
        if (token is null or { Length: > 0 and <= 1000 } && token?.All(c => c is > ' ' and < '\x7f') != false) return token;
        throw new UsageException($"{(path is null ? TokenVariable : path)} contains no token: a token is one word.");
    }

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
