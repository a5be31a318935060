namespace LdlVk.Cli.Options;

/// <summary>Weight formats of a conversion.</summary>
internal static class Formats
{
    /// <summary>Reads a format that a folder can be converted to.</summary>
    /// <exception cref="UsageException">There is no such format.</exception>
    public static WeightFormat ReadConvertible(string name) => name switch
    {
        "fp16" => WeightFormat.Fp16,
        "int8" => WeightFormat.Int8,
        "int4" => WeightFormat.Int4,
        _ => throw new UsageException($"--weights {name}: there is only fp16, int8, int4."),
    };
}
