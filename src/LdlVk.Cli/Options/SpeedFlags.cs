using System.CommandLine;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Options;

/// <summary>The flags that change speed and memory, but never a score.</summary>
internal sealed class SpeedFlags
{
    private readonly Option<bool> _noSharePrefixes = new("--no-share-prefixes")
    {
        Description = "Compute shared prefixes again for each text. The scores are the same. This is slower, and meant for measurements.",
    };

    private readonly Option<string?> _promptCache = new("--prompt-cache")
    {
        Description =
            "Device memory, over all devices, in which the beginnings of texts that come again are kept, such as 4GiB, or 0 for none "
            + "[default: a part of what the model leaves free]. The scores are the same.",
        HelpName = "SIZE",
    };

    private readonly Option<bool> _noTune = new("--no-tune")
    {
        Description =
            "Skip the search for fast tiles, which takes about a second the first time a model runs on a GPU and driver. "
            + "The scores are the same.",
    };

    /// <summary>--batch-tokens, also for commands that only plan.</summary>
    public Option<string?> BatchTokens { get; } = CreateBatchTokens();

    /// <summary>--batch-tokens.</summary>
    public static Option<string?> CreateBatchTokens() => new("--batch-tokens")
    {
        Description = "Maximum number of tokens of a micro-batch [default: 4096]. It affects speed and memory, but never a score.",
        HelpName = "N",
    };

    /// <summary>Adds all but --batch-tokens to a command.</summary>
    public void AddTo(Command command)
    {
        Option[] all = [_noSharePrefixes, _promptCache, _noTune];
        foreach (Option option in all) command.Options.Add(option);
    }

    /// <summary>Returns options with those that the flags specify.</summary>
    /// <exception cref="UsageException">A value is invalid, or two contradict each other.</exception>
    public RewardModelOptions Read(ParseResult call, RewardModelOptions options)
    {
        long? cache = PromptCache(call);
        bool shares = !call.GetValue(_noSharePrefixes);
        if (!shares && cache > 0)
            throw new UsageException(
                "--prompt-cache keeps what texts share, and --no-share-prefixes shares nothing. Leave one of them out.");
        return options with
        {
            BatchTokens = ModelValues.BatchTokens(call, BatchTokens),
            SharePrefixes = shares,
            PromptCache = cache,
            Tune = !call.GetValue(_noTune),
        };
    }

    private long? PromptCache(ParseResult call)
    {
        if (call.GetValue(_promptCache) is not { } text) return null;
        return text.Trim() == "0" ? 0 : ModelValues.Size(text)
            ?? throw new UsageException($"--prompt-cache {Readable.Quoted(text)} is not a size. Give one such as 4GiB, or 0 for no cache.");
    }
}
