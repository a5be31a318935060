using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// The identity of a model by the content of its files, the same for a copy in another folder. Files of up to <see cref="WholeBytes"/> are
/// hashed as a whole, with config.json, tokenizer and heads among them. Larger files hold weights; hashed are their safetensors header, all
/// of each tensor of up to <see cref="SmallBytes"/>, a head among them, the beginning of each other tensor, and a block of
/// <see cref="BlockBytes"/> in each <see cref="StrideBytes"/>. A core hashes 0.3 to 2 GB/s (SHA-256): a complete hash of 54 GB
/// takes half a minute to three minutes, and reads the files twice where they do not stay in memory. The blocks are 0.4 % of that: 3,600
/// reads, less than a second of hashing. Further training changes every element of a matrix that it changes, and each matrix is sampled. A
/// change between two blocks, such as one flipped bit, is missed.
/// </summary>
internal static class ModelFingerprint
{
    /// <summary>Largest size of a file that is hashed as a whole.</summary>
    public const long WholeBytes = 64L << 20;

    /// <summary>Bytes of a block, and the distance from the beginning of a block to that of the next one.</summary>
    public const int BlockBytes = 64 << 10, StrideBytes = 16 << 20;

    /// <summary>Largest size of a tensor of a large file that is hashed as a whole.</summary>
    public const int SmallBytes = 1 << 20;

    /// <summary>Maximum length of a header; a longer one is sampled like the rest.</summary>
    private const long MaxHeaderBytes = 100_000_000;

    /// <summary>Names of the files beside the weights that decide a text's tokens or its score.</summary>
    private static readonly string[] Described =
    [
        CheckpointFolder.ConfigName, "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
        "added_tokens.json", "chat_template.jinja", "chat_template.json",
    ];

    /// <summary>Returns the fingerprint in hexadecimal.</summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="weights">Paths of the files with weights.</param>
    /// <param name="text">The folder of the tokenizer and the chat template, which may be an adapter's; null for the same.</param>
    /// <param name="adapter">Paths of an adapter's files; null without one.</param>
    public static string Of(string folder, IEnumerable<string> weights, string? text = null, IEnumerable<string>? adapter = null)
    {
        using IncrementalHash all = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[1 << 20];
        IEnumerable<string> described = Described
            .Select(name => Path.Combine(name == CheckpointFolder.ConfigName ? folder : text ?? folder, name)).Where(File.Exists);
        foreach (string path in described.Concat(weights)
            .Distinct(StringComparer.Ordinal).OrderBy(Path.GetFileName, StringComparer.Ordinal)
            .Concat((adapter ?? []).OrderBy(Path.GetFileName, StringComparer.Ordinal)))
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            all.AppendData(Encoding.UTF8.GetBytes($"{Path.GetFileName(path)}\n{file.Length}\n"));
            if (file.Length <= WholeBytes) Append(all, file, 0, file.Length, buffer);
            else AppendSamples(all, file, buffer);
        }

        return Convert.ToHexStringLower(all.GetHashAndReset());
    }

    private static void AppendSamples(IncrementalHash all, FileStream file, byte[] buffer)
    {
        Span<byte> length = stackalloc byte[sizeof(long)];
        file.ReadExactly(length);
        long header = BinaryPrimitives.ReadInt64LittleEndian(length);
        if (header is > 0 and <= MaxHeaderBytes)
        {
            Append(all, file, 0, sizeof(long) + header, buffer);
            AppendTensors(all, file, header, buffer);
        }

        for (long at = 0; at < file.Length; at += StrideBytes) Append(all, file, at, BlockBytes, buffer);
        Append(all, file, file.Length - BlockBytes, BlockBytes, buffer);
    }

    /// <summary>Adds the tensors that a safetensors header names; nothing if the file has no such header.</summary>
    private static void AppendTensors(IncrementalHash all, FileStream file, long header, byte[] buffer)
    {
        byte[] json = new byte[header];
        file.Position = sizeof(long);
        if (file.ReadAtLeast(json, json.Length, throwOnEndOfStream: false) < json.Length) return;
        List<(long Start, long End)> tensors = [];
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            foreach (JsonProperty tensor in document.RootElement.EnumerateObject())
                if (tensor.Value.TryGetProperty("data_offsets", out JsonElement at))
                    tensors.Add((at[0].GetInt64(), at[1].GetInt64()));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or IndexOutOfRangeException)
        {
            return;
        }

        foreach ((long start, long end) in tensors.Order())
        {
            if (start < 0 || end <= start || end > file.Length - sizeof(long) - header) continue;
            Append(all, file, sizeof(long) + header + start, end - start <= SmallBytes ? end - start : BlockBytes, buffer);
        }
    }

    private static void Append(IncrementalHash all, FileStream file, long start, long bytes, byte[] buffer)
    {
        file.Position = start;
        while (bytes > 0)
        {
            int read = file.Read(buffer, 0, (int)Math.Min(buffer.Length, bytes));
            if (read == 0) return;
            all.AppendData(buffer, 0, read);
            bytes -= read;
        }
    }
}
