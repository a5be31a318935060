using System.CommandLine;
using System.Globalization;

namespace LdlVk.Cli.Options;

/// <summary>Reads the values of the flags that load a model.</summary>
/// <remarks>Each method throws a <see cref="UsageException"/> that names the flag if its value is not valid.</remarks>
internal static class ModelValues
{
    /// <summary>Values of --weights.</summary>
    public const string WeightFormats = "auto|fp32|fp16|int8|int4";

    /// <summary>Values of --heads.</summary>
    public const string HeadFormats = "fp32|fp16|int8";

    /// <summary>Values of --compute.</summary>
    public const string Computes = "auto|fp16|fp16x|int8";

    /// <summary>Values of --kernels.</summary>
    public const string KernelChoices = "auto|portable|matrix";

    /// <summary>Values of --embedding-scale.</summary>
    public const string EmbeddingScales = "auto|exact|bf16";

    /// <summary>Values of --aggregate.</summary>
    public const string Aggregates = "auto|last|min|mean|prod";

    /// <summary>Values of --system.</summary>
    public const string SystemRoles = "error|merge";

    /// <summary>Values of --chat-template.</summary>
    public static string ChatTemplates => string.Join('|', TextEncoder.ChatTemplates);

    /// <summary>Value of --adapter; null if it is not given.</summary>
    public static string? Adapter(ParseResult call, Option<string?> adapter) => call.GetValue(adapter) is not { } folder ? null
        : folder.Length > 0 ? folder : throw new UsageException($"{adapter.Name} is empty. Give the folder of the adapter.");

    /// <summary>Throws if a flag about a model is given to a command without its model.</summary>
    public static void RequireModel(ParseResult call, Option<string?> model, params Option<string?>[] flags)
    {
        if (call.GetValue(model) is not null) return;
        if (flags.FirstOrDefault(flag => call.GetValue(flag) is not null) is { } alone)
            throw new UsageException($"{alone.Name} is about a model: give {model.Name} too.");
    }

    /// <summary>Value of --memory: sizes as 8GiB, 500MB or bytes.</summary>
    public static IReadOnlyList<long> Memory(ParseResult call, Option<string?> memory)
    {
        if (call.GetValue(memory) is not { } text) return [];
        return [.. text.Split(',').Select(part => Size(part.Trim()) ?? throw new UsageException(
            $"--memory {text}: \"{part}\" is not a size. "
            + $"Give one such as 8GiB, 500MB or 2000000000, or one for each device, separated by commas."))];
    }

    /// <summary>A size such as 8GiB, 500MB or bytes; null if the text is none.</summary>
    public static long? Size(string text)
    {
        (string Unit, double Bytes)[] units =
        [
            ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1L << 40),
            ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("B", 1), ("", 1),
        ];
        (string unit, double bytes) = units.First(u => text.EndsWith(u.Unit, StringComparison.OrdinalIgnoreCase));
        ReadOnlySpan<char> digits = text.AsSpan(0, text.Length - unit.Length);
        const NumberStyles styles = NumberStyles.AllowDecimalPoint | NumberStyles.AllowTrailingWhite;
        return double.TryParse(digits, styles, CultureInfo.InvariantCulture, out double number)
            && number * bytes is >= 1 and < long.MaxValue
                ? (long)(number * bytes)
                : null;
    }

    /// <summary>Value of --split: the number of layers of each device, or null for the default.</summary>
    public static int[]? Split(ParseResult call, Option<string?> split)
    {
        if (call.GetValue(split) is not { } text) return null;
        return [.. text.Split(',').Select(Layers)];

        int Layers(string part) => int.TryParse(part.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int layers)
            ? layers
            : throw new UsageException(
                $"--split {text}: \"{part}\" is not a number of layers. "
                + $"Give one for each device, such as --device vulkan:0,vulkan:1 --split 20,26.");
    }

    /// <summary>Value of --compute; fp16 names what auto does.</summary>
    public static ComputeMode Compute(ParseResult call, Option<string> compute) =>
        OneOf(call, compute, Computes) switch
        {
            "int8" => ComputeMode.Int8,
            "fp16x" => ComputeMode.Fp16x,
            _ => ComputeMode.Auto,
        };

    /// <summary>Value of --kernels.</summary>
    public static KernelChoice Kernels(ParseResult call, Option<string> kernels) => OneOf(call, kernels, KernelChoices) switch
    {
        "portable" => KernelChoice.Portable,
        "matrix" => KernelChoice.Matrix,
        _ => KernelChoice.Auto,
    };

    /// <summary>Value of --heads.</summary>
    public static WeightFormat Heads(ParseResult call, Option<string> heads) => Format(OneOf(call, heads, HeadFormats));

    /// <summary>Value of --batch-tokens.</summary>
    public static int BatchTokens(ParseResult call, Option<string?> batchTokens)
    {
        if (call.GetValue(batchTokens) is not { } text) return RewardModelOptions.DefaultBatchTokens;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int tokens) && tokens > 0
            ? tokens : throw new UsageException($"--batch-tokens {text}: give a whole number from 1 to {int.MaxValue}.");
    }

    /// <summary>Value of a flag that has a fixed set of values, separated by |; the first is the default.</summary>
    public static string OneOf(ParseResult call, Option<string> option, string values)
    {
        // Commands without this flag use its default.
        string value = call.GetValue(option) ?? values[..values.IndexOf('|', StringComparison.Ordinal)];
        return values.Split('|').Contains(value, StringComparer.Ordinal)
            ? value
            : throw new UsageException($"{option.Name} {value}: there is only {values.Replace("|", ", ", StringComparison.Ordinal)}.");
    }

    /// <summary>The format of a name in <see cref="WeightFormats"/> other than auto.</summary>
    public static WeightFormat Format(string name) => name switch
    {
        "fp32" => WeightFormat.Fp32,
        "fp16" => WeightFormat.Fp16,
        "int8" => WeightFormat.Int8,
        _ => WeightFormat.Int4,
    };
}
