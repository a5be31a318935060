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

    private readonly Option<string?> _promptCacheHost = new("--prompt-cache-host")
    {
        Description =
            "Host memory to which they go when they must leave device memory, and from which they come back, such as 16GiB, or 0 for none "
            + "[default: behind graphics cards a sixteenth of what is free, at most 8 GiB; else 0]. The scores are the same.",
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
        Option[] all = [_noSharePrefixes, _promptCache, _promptCacheHost, _noTune];
        foreach (Option option in all) command.Options.Add(option);
    }

    /// <summary>Returns options with those that the flags specify.</summary>
    /// <exception cref="UsageException">A value is invalid, or two contradict each other.</exception>
    public RewardModelOptions Read(ParseResult call, RewardModelOptions options)
    {
        long? cache = Size(call, _promptCache), host = Size(call, _promptCacheHost);
        bool shares = !call.GetValue(_noSharePrefixes);
        if (!shares && (cache > 0 || host > 0))
            throw new UsageException(
                $"{(cache > 0 ? _promptCache : _promptCacheHost).Name} keeps what texts share, and --no-share-prefixes shares nothing. "
                    + "Leave one of them out.");
        return options with
        {
            BatchTokens = ModelValues.BatchTokens(call, BatchTokens),
            SharePrefixes = shares,
            PromptCache = cache,
            PromptCacheHost = host,
            Tune = !call.GetValue(_noTune),
        };
    }

    private static long? Size(ParseResult call, Option<string?> option)
    {
        if (call.GetValue(option) is not { } text) return null;
        return text.Trim() == "0" ? 0 : ModelValues.Size(text)
            ?? throw new UsageException($"{option.Name} {Readable.Quoted(text)} is not a size. Give one such as 4GiB, or 0 for none.");
    }
}
