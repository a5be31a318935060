using System.CommandLine;

namespace LdlVk.Cli.Options;

/// <summary>The flags that say which head scores, and how the scores of steps become one.</summary>
internal sealed class HeadFlags
{
    /// <summary>--head.</summary>
    public Option<string?> Head { get; } = CreateHead();

    private readonly Option<string> _aggregate = ModelFlags.Choice("--aggregate", ModelValues.Aggregates,
        "How the scores of a response's steps become its score, for process reward models. "
        + "auto: as the model's authors rank responses, which is said once. Others are an error for a model of whole texts.");

    private readonly Option<string?> _separator = CreateSeparator();

    /// <summary>--head.</summary>
    public static Option<string?> CreateHead() => new("--head")
    {
        Description =
            "Head that scores, where the model has several: the name of its tensors, such as score or v_head. "
            + "steps: one that scores steps although no file says so. "
            + "logit:N: the logit of token N at the last token, of a language model that was trained to score by it.",
        HelpName = "NAME|steps|logit:N",
    };

    /// <summary>--step-separator.</summary>
    public static Option<string?> CreateSeparator() => new("--step-separator")
    {
        Description =
            "What separates the steps of a response that is one text, for process reward models; \\n is a line break "
            + "[default: what the model's code takes]. An error for other models.",
        HelpName = "TEXT",
    };

    /// <summary>Adds these flags to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_aggregate, _separator]) command.Options.Add(option);
    }

    /// <summary>Adds what the flags say to the options of a model.</summary>
    public RewardModelOptions Read(ParseResult call, RewardModelOptions options) => options with
    {
        Head = call.GetValue(Head),
        StepAggregation = ModelValues.OneOf(call, _aggregate, ModelValues.Aggregates) switch
        {
            "last" => StepAggregation.Last,
            "min" => StepAggregation.Min,
            "mean" => StepAggregation.Mean,
            "prod" => StepAggregation.Prod,
            _ => null,
        },
        StepSeparator = Separator(call, _separator),
    };

    /// <summary>Value of --step-separator, in which \n stands for a line break.</summary>
    public static string? Separator(ParseResult call, Option<string?> separator) =>
        call.GetValue(separator)?.Replace("\\n", "\n", StringComparison.Ordinal);
}
