using System.CommandLine;
using System.Globalization;

namespace LdlVk.Cli.Options;

/// <summary>The flags that say how a conversation becomes text.</summary>
internal sealed class TemplateFlags
{
    /// <summary>--chat-template.</summary>
    public Option<string> Template { get; } = ModelFlags.Choice("--chat-template", ModelValues.ChatTemplates,
        "Conversion of messages to text. auto: the checkpoint's template; "
        + "none: the contents one after another, with the tokenizer's bos token; otherwise the template of that name.");

    /// <summary>--system.</summary>
    public Option<string> System { get; } = ModelFlags.Choice("--system", ModelValues.SystemRoles,
        "What a system message is where the chat template has no system role: an error, or merged into the first user message.");

    private readonly Option<string?> _date = CreateDate();

    /// <summary>--date.</summary>
    public static Option<string?> CreateDate() => new("--date")
    {
        Description = "Date that the chat template prints if it asks for today's, as Llama 3.2's does [default: 2024-07-26, every day].",
        HelpName = "YYYY-MM-DD",
    };

    /// <summary>Adds these flags to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[Template, System, _date]) command.Options.Add(option);
    }

    /// <summary>Value of --system.</summary>
    public SystemMessages OfSystem(ParseResult call) =>
        ModelValues.OneOf(call, System, ModelValues.SystemRoles) == "merge" ? SystemMessages.Merge : SystemMessages.Error;

    /// <summary>Value of --chat-template.</summary>
    public string Name(ParseResult call) => ModelValues.OneOf(call, Template, ModelValues.ChatTemplates);

    /// <summary>Value of --date.</summary>
    public DateTime? Date(ParseResult call) => Date(call, _date);

    /// <summary>Value of a --date; null if it is not given.</summary>
    public static DateTime? Date(ParseResult call, Option<string?> date)
    {
        if (call.GetValue(date) is not { } text) return null;
        string[] formats = ["yyyy-MM-dd", "yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd HH:mm:ss"];
        return DateTime.TryParseExact(text, formats, CultureInfo.InvariantCulture, DateTimeStyles.None, out DateTime value)
            ? value
            : throw new UsageException($"{date.Name} {text}: this is no date. Give one such as 2024-07-26, or 2024-07-26T14:30:00.");
    }

    /// <summary>The encoder of a model's folder with these flags.</summary>
    public TextEncoder Encoder(ParseResult call, string folder) => new(folder, Name(call), OfSystem(call), Date(call));
}
