using System.Text.Json;

namespace LdlVk.Cli.Options;

/// <summary>Names the options in messages of the libraries as flags of the command line.</summary>
internal static class FlagWording
{
    /// <summary>A message with flags.</summary>
    public static string InFlags(this Notice notice) => notice.Say(Word);

    /// <summary>An option as a flag: <c>BatchTokens</c> is <c>--batch-tokens</c>.</summary>
    public static string Word(string name, string value) => (name, value) switch
    {
        (nameof(OptionName.Tune), "false") => "--no-tune",
        (nameof(OptionName.SystemMessages), _) => $"--system {value}".TrimEnd(),
        (nameof(OptionName.TemplateDate), _) => $"--date {value}".TrimEnd(),
        (nameof(OptionName.StepAggregation), _) => $"--aggregate {value}".TrimEnd(),
        ("Token", _) => "--token-file FILE",
        _ => $"--{JsonNamingPolicy.KebabCaseLower.ConvertName(name)}{(value.Length == 0 ? "" : " ")}{value}",
    };
}
