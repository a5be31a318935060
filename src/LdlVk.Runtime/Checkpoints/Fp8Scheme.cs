using System.Text.Json;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// How a checkpoint's fp8 weights were quantized, by <c>quantization_config</c> of its config.json: W = scale · q with q in E4M3
/// (Micikevicius et al. 2022, "FP8 Formats for Deep Learning"), and a scale for the matrix, for each row, or for each block. The
/// activations are not quantized here, whatever the file asks for: that approximates, for the sake of the original's kernels.
/// </summary>
/// <param name="BlockRows">Rows of a block; 0 if there are no blocks.</param>
/// <param name="BlockColumns">Columns of a block; 0 if there are no blocks.</param>
internal sealed record Fp8Scheme(int BlockRows, int BlockColumns)
{
    /// <summary>Names of the methods, as quant_method names them.</summary>
    public static IReadOnlyList<string> Methods { get; } = ["fp8", "compressed-tensors"];

    /// <summary>Suffixes of the scales behind the name of a matrix: of DeepSeek and transformers, and of compressed-tensors.</summary>
    public static IReadOnlyList<string> Suffixes { get; } = ["_scale_inv", "_scale"];

    private const int MaxBlock = 1 << 20;

    /// <summary>Reads the scheme; null if the weights are not fp8 by the file.</summary>
    /// <exception cref="CheckpointException">The file asks for something that is not supported.</exception>
    public static Fp8Scheme? Read(ConfigFields fields)
    {
        if (!fields.Root.TryGet(ConvertedFormat.ConfigField, out JsonField config)
            || !config.TryGet(ConvertedFormat.MethodField, out JsonField method))
        {
            return null;
        }

        return method.String() switch
        {
            "fp8" => OfFp8(config),
            "compressed-tensors" => OfCompressedTensors(config),
            _ => null,
        };
    }

    /// <summary>Whether a tensor belongs to the quantization of a matrix, and not to the model.</summary>
    public static bool IsPart(string name, Func<string, bool> contains)
    {
        foreach (string suffix in (ReadOnlySpan<string>)["_scale_inv", "_scale", "_zero_point"])
            if (name.EndsWith(".weight" + suffix, StringComparison.Ordinal)) return contains(name[..^suffix.Length]);
        foreach (string suffix in (ReadOnlySpan<string>)["input_scale", "activation_scale"])
            if (name.EndsWith("." + suffix, StringComparison.Ordinal)) return contains(name[..^suffix.Length] + "weight");
        return false;
    }

    private static Fp8Scheme OfFp8(JsonField config)
    {
        if (config.TryGet("fmt", out JsonField format) && format.String() != "e4m3") throw ConfigFields.Unsupported(format, "\"e4m3\"");
        return config.TryGet("weight_block_size", out JsonField block) ? OfBlock(block) : new Fp8Scheme(0, 0);
    }

    private static Fp8Scheme OfCompressedTensors(JsonField config)
    {
        if (config.TryGet("format", out JsonField format) && format.String() != "float-quantized")
            throw format.Error(
                $"is {format.Kind}: of the weights that compressed-tensors quantizes, those of \"float-quantized\" (fp8) are read. "
                + OtherFolder.Original);
        Fp8Scheme? scheme = null;
        JsonField groups = config.Get("config_groups");
        foreach (JsonProperty pair in groups.Members())
        {
            JsonField group = groups.Member(Shown.Short(pair.Name), pair.Value), weights = group.Get("weights");
            if (weights.TryGet("num_bits", out JsonField bits) && bits.Integer(1, 64) != 8) throw ConfigFields.Unsupported(bits, "8");
            if (weights.TryGet("type", out JsonField type) && type.String() != "float") throw ConfigFields.Unsupported(type, "\"float\"");
            if (weights.TryGet("symmetric", out JsonField symmetric) && !symmetric.Boolean())
                throw ConfigFields.Unsupported(symmetric, "true");
            JsonField strategy = weights.Get("strategy");
            Fp8Scheme read = strategy.String() switch
            {
                "tensor" or "channel" => new Fp8Scheme(0, 0),
                "block" => OfBlock(weights.Get("block_structure")),
                _ => throw ConfigFields.Unsupported(strategy, "\"tensor\", \"channel\" or \"block\""),
            };
            if (scheme is not null && read != scheme) throw strategy.Error($"differs from group to group. {OtherFolder.Original}");
            scheme = read;
        }

        return scheme ?? throw groups.Damaged("has no group");
    }

    private static Fp8Scheme OfBlock(JsonField block)
    {
        int[] sizes = [.. block.Items().Take(3).Select((item, i) => block.Item(i, item).Integer(1, MaxBlock))];
        return sizes is [var rows, var columns] ? new Fp8Scheme(rows, columns) : throw block.Damaged("is not two sizes");
    }
}

/// <summary>The scales of an fp8 matrix, by which its elements are multiplied as they are read. Thread-safe.</summary>
internal sealed class Fp8Scales
{
    private readonly CheckpointTensor _scales;
    private readonly int _columns, _blockRows, _blockColumns, _perRow;
    private float[]? _values;

    private Fp8Scales(CheckpointTensor scales, int columns, int blockRows, int blockColumns) =>
        (_scales, _columns, _blockRows, _blockColumns, _perRow) =
            (scales, columns, blockRows, blockColumns, (columns + blockColumns - 1) / blockColumns);

    /// <summary>Verifies the shape of scales: one number, one for each row, or one for each block.</summary>
    /// <exception cref="CheckpointException">It is another.</exception>
    public static Fp8Scales Of(CheckpointTensor matrix, CheckpointTensor scales, Fp8Scheme scheme)
    {
        int rows = matrix.Rows, columns = Math.Max(1, matrix.Columns);
        if (scheme.BlockRows > 0)
        {
            int down = (rows + scheme.BlockRows - 1) / scheme.BlockRows, across = (columns + scheme.BlockColumns - 1) / scheme.BlockColumns;
            return scales.Shape.SequenceEqual([down, across])
                ? new Fp8Scales(scales, columns, scheme.BlockRows, scheme.BlockColumns)
                : throw Wrong($"[{down}, {across}], for blocks of [{scheme.BlockRows}, {scheme.BlockColumns}]");
        }

        if (scales.Count == 1) return new Fp8Scales(scales, columns, Math.Max(1, rows), columns);
        return scales.Shape.SequenceEqual([rows, 1]) || scales.Shape.SequenceEqual([rows])
            ? new Fp8Scales(scales, columns, 1, columns) : throw Wrong($"[1] or [{rows}, 1]");

        CheckpointException Wrong(string expected) => new(
            $"Tensor {Shown.Short(scales.Name)} of {scales.File} has shape [{string.Join(", ", scales.Shape)}], but the scales of "
            + $"{Shown.Short(matrix.Name)} [{string.Join(", ", matrix.Shape)}] need {expected}. The files are not from the same model.");
    }

    /// <summary>Multiplies consecutive elements by their scales.</summary>
    public void Apply(long firstElement, Span<float> elements)
    {
        float[] values = _values ??= _scales.ReadAll();
        while (elements.Length > 0)
        {
            (long row, long column) = Math.DivRem(firstElement, _columns);
            int count = (int)Math.Min(elements.Length, Math.Min(_columns, ((column / _blockColumns) + 1) * _blockColumns) - column);
            float scale = values[((row / _blockRows) * _perRow) + (column / _blockColumns)];
            System.Numerics.Tensors.TensorPrimitives.Multiply(elements[..count], scale, elements[..count]);
            firstElement += count;
            elements = elements[count..];
        }
    }
}
