using System.CommandLine;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;

namespace LdlVk.Cli.Options;

/// <summary>The flags that specify the texts: on the command line, or as lines of a file.</summary>
internal sealed class TextFlags
{
    /// <summary>The containers of items, for descriptions.</summary>
    public const string DataSet =
        "Data set: JSON lines, a JSON array or an object of lists, CSV, TSV, Parquet or Arrow, also compressed with gzip or Zstandard, "
        + "or a folder that Dataset.save_to_disk wrote";

    private readonly Option<string?> _prompt = new("--prompt") { Description = "The user's message.", HelpName = "TEXT" };
    private readonly Option<string[]> _response;
    private readonly Option<string?>? _input;
    private readonly Option<string?> _map = CreateMap();

    /// <param name="responses">Description of --response.</param>
    /// <param name="input">Description of --input; null if the command has none.</param>
    public TextFlags(string responses, string? input)
    {
        _response = new Option<string[]>("--response") { Description = responses, HelpName = "TEXT", Arity = ArgumentArity.OneOrMore };
        _input = input is null ? null : CreateInput(input);
    }

    /// <summary>--input.</summary>
    public static Option<string?> CreateInput(string description) => new("--input") { Description = description, HelpName = "FILE|-" };

    /// <summary>--map.</summary>
    public static Option<string?> CreateMap() => new("--map")
    {
        Description =
            "Fields of the input that are the parts of an item, such as prompt=problem,response=solution; no other field is read then. "
            + $"Parts: {ItemFields.Parts}.",
        HelpName = "PART=FIELD,…",
    };

    /// <summary>Returns the fields that --map names, or the usual ones.</summary>
    /// <exception cref="UsageException">The map is wrong.</exception>
    public static ItemFields Names(ParseResult call, Option<string?> map)
    {
        if (call.GetValue(map) is not { } text) return ItemFields.Usual;
        try
        {
            return ItemFields.Parse(text);
        }
        catch (UsageException e)
        {
            throw new UsageException($"{map.Name}: {e.Notice}", e);
        }
    }

    /// <summary>--output.</summary>
    /// <param name="more">A sentence on the form of the file.</param>
    public static Option<string?> CreateOutput(string more = "") => new("--output")
    {
        Description =
            $"File for the results [default: - (standard output)]. {more}"
            + "It appears at the end; after a failure or Ctrl-C, the results so far are in FILE.partial.",
        HelpName = "FILE|-",
    };

    /// <summary>--output of commands that write results as Parquet too.</summary>
    public static Option<string?> CreateTableOutput() => CreateOutput("Parquet if its name ends with .parquet, else JSON lines. ");

    /// <summary>Adds these flags to a command.</summary>
    public void AddTo(Command command)
    {
        command.Options.Add(_prompt);
        command.Options.Add(_response);
        if (_input is null) return;
        command.Options.Add(_input);
        command.Options.Add(_map);
    }

    /// <summary>Opens the texts, which are read on demand. The caller disposes the source.</summary>
    /// <exception cref="UsageException">Flags are missing or contradict each other, or the file does not exist.</exception>
    public LineSource Open(ParseResult call, Terminal terminal, CancellationToken cancellationToken)
    {
        string? prompt = call.GetValue(_prompt), input = _input is null ? null : call.GetValue(_input);
        string[] responses = call.GetValue(_response) ?? [];
        bool given = prompt is not null || responses.Length > 0;
        if (input is not null)
        {
            if (given) throw new UsageException("Give the texts with --input or with --prompt and --response, not both.");
            ItemFields names = Names(call, _map);
            LineSource source = terminal.OpenInput(input, cancellationToken);
            source.Names = names;
            return source;
        }

        if (_input is not null && call.GetValue(_map) is not null)
            throw new UsageException($"{_map.Name} names fields of --input; --prompt and --response have none. Leave it out.");
        string orInput = _input is null ? "" : ", or --input FILE.jsonl (- for standard input)";
        if (prompt is null || responses.Length == 0)
            throw new UsageException($"There are no texts. Give --prompt TEXT and --response TEXT{orInput}.");
        return LineSource.Of(InputLine.Of("0", Item.Of(prompt, responses) with { HasResponses = responses.Length > 1 }));
    }
}
