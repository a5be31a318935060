using System.CommandLine;
using System.Text.Json;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Text;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk render --template</c>: what a template in a file makes of each line, without a model.</summary>
internal sealed class TemplateRender
{
    private readonly Option<string?> _file = new("--template")
    {
        Description = "A chat template in a file instead of a model's: .jinja, or a tokenizer_config.json.", HelpName = "FILE",
    };

    private readonly Option<string?> _bos = new("--bos")
    {
        Description = "With --template: the template's bos_token [default: of the tokenizer_config.json, else none].", HelpName = "TOKEN",
    };

    private readonly Option<string?> _eos = new("--eos")
    {
        Description = "With --template: the template's eos_token [default: likewise].", HelpName = "TOKEN",
    };

    /// <summary>Adds the flags to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_file, _bos, _eos]) command.Options.Add(option);
    }

    /// <summary>Returns whether a template is given, and checks that the flags go together.</summary>
    /// <param name="call">The call.</param>
    /// <param name="model">--model.</param>
    /// <param name="ofModel">Flags that mean a model.</param>
    /// <exception cref="UsageException">They do not.</exception>
    public bool IsGiven(ParseResult call, Option<string> model, params Option[] ofModel)
    {
        bool hasFile = call.GetValue(_file) is not null, hasModel = call.GetResult(model) is { Implicit: false };
        if (hasFile && hasModel) throw new UsageException("--template is a template without a model. Leave out --model, or --template.");
        if (!hasFile && !hasModel) throw new UsageException("Give a model's folder with --model DIR, or a template with --template FILE.");
        foreach (Option option in hasFile ? ofModel : [_bos, _eos])
            if (call.GetResult(option) is { Implicit: false })
                throw new UsageException($"{option.Name} goes with {(hasFile ? "--model" : "--template")}. Leave it out.");
        return hasFile;
    }

    /// <summary>Writes what the template makes of each line.</summary>
    /// <returns>The exit code.</returns>
    public int Run(
        ParseResult call, TemplateFlags flags, Terminal terminal, LineSource source, ResultWriter result,
            CancellationToken cancellationToken)
    {
        DateTime? date = flags.Date(call);
        string path = call.GetValue(_file)!;
        if (Directory.Exists(path)) throw new UsageException($"{_file.Name} {path} is a folder. Give the template's file.");
        if (!File.Exists(path)) throw new UsageException($"There is no file {path} for {_file.Name}.");
        TemplateFile template = TemplateFile.Open(path, call.GetValue(_bos), call.GetValue(_eos), date);
        int code = ExitCode.Success;
        IEnumerable<(string Id, string[] Texts, bool Many, string? Error)> lines = source.IsFile
            ? source.RawLines().Select(raw => JsonLine.Read(
                raw, (root, id) => Read(template, source.Names, root, id), (id, error) => (id, (string[])[], false, (string?)error)))
            : source.Lines().Select(line => (line.Id, Texts(template, line.Item), line.Item.HasResponses, (string?)null));
        foreach ((string id, string[] texts, bool many, string? error) in lines)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (error is not null)
            {
                result.WriteError(id, error);
                code = ExitCode.SomeFailed;
                continue;
            }

            result.Write(json =>
            {
                RewardJson.WriteId(json, id);
                if (!many)
                {
                    json.WriteString("text", texts[0]);
                    return;
                }

                json.WriteStartArray("texts");
                foreach (string text in texts) json.WriteStringValue(text);
                json.WriteEndArray();
            });
        }

        if (template.PrintsDate && date is null)
            terminal.Say($"The template prints today's date. Here it prints {ChatTemplate.DefaultDate:yyyy-MM-dd}; --date sets another.");
        return code;
    }

    /// <summary>Messages of roles go to the template as they are, with whatever fields they have; other forms are read as items.</summary>
    private static (string, string[], bool, string?) Read(TemplateFile template, ItemFields names, JsonElement root, string id)
    {
        bool isPlain = !names.IsMap && root.TryGetProperty("messages", out JsonElement messages)
            && messages.ValueKind == JsonValueKind.Array
            && messages.EnumerateArray().All(message => message.ValueKind == JsonValueKind.Object && message.TryGetProperty("role", out _))
            && !root.TryGetProperty("response", out _) && !root.TryGetProperty("responses", out _) && !root.TryGetProperty("chosen", out _);
        if (isPlain) return (id, [template.Render(root)], false, null);
        Item item = new ItemReader(JsonLine.Fields, names).Read(root, InputLine.MaxResponses);
        return (id, Texts(template, item), item.HasResponses, null);
    }

    private static string[] Texts(TemplateFile template, Item item) => item.Conversations.Count > 0
        ? [.. item.Conversations.Select(conversation => template.Template.Render(conversation.Messages))]
        : throw new InputException("the line holds no conversation that a template could render.");
}
