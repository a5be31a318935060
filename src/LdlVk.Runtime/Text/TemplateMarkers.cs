using System.Buffers;

namespace LdlVk.Runtime.Text;

/// <summary>
/// The markers with which the known chat templates divide turns. In a text for a model that has no such token they are ordinary letters:
/// the text was made with another model's template. Thread-safe.
/// </summary>
public sealed class TemplateMarkers
{
    private static readonly (string Family, string[] Markers)[] Known =
    [
        ("ChatML", ["<|im_start|>", "<|im_end|>"]),
        ("Llama 3", ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]),
        ("Llama 2 or Mistral", ["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"]),
        ("Gemma", ["<start_of_turn>", "<end_of_turn>"]),
        ("Phi or Zephyr", ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]),
        ("DeepSeek", ["<｜begin▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"]),
    ];

    private static readonly HashSet<string> All =
        [.. Known.SelectMany(family => family.Markers), "<bos>", "<eos>", "<s>", "</s>", "<|end_of_text|>", "<|endoftext|>"];

    private readonly (string Family, string Marker)[] _foreign;
    private readonly SearchValues<string> _any;

    /// <summary>Finds the markers that are foreign to a model.</summary>
    /// <param name="tokenizer">The model's tokenizer, whose own tokens are not foreign.</param>
    public TemplateMarkers(Tokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        _foreign =
        [
            .. Known.SelectMany(family => family.Markers.Select(marker => (family.Family, marker)))
                .Where(known => !tokenizer.TryGetId(known.marker, out _)),
        ];
        _any = SearchValues.Create([.. _foreign.Select(known => known.Marker)], StringComparison.Ordinal);
    }

    /// <summary>Whether a token marks turns or the ends of a text in a known template.</summary>
    internal static bool IsKnown(string token) => All.Contains(token);

    /// <summary>Returns the first foreign marker of a text, in words; null if there is none.</summary>
    public string? Find(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        int at = text.AsSpan().IndexOfAny(_any);
        if (at < 0) return null;
        (string family, string marker) = _foreign.First(known => text.AsSpan(at).StartsWith(known.Marker, StringComparison.Ordinal));
        return $"{marker}, a marker of the chat template of {family}, which is ordinary text for this model";
    }
}
