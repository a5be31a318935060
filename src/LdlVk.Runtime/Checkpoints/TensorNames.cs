using System.Text.RegularExpressions;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// Maps the tensor names of a checkpoint to those of transformers without <c>model.</c>. Programs put other modules around a model before
/// they save it (torch.compile <c>_orig_mod.</c>, DDP and FSDP <c>module.</c>, PEFT <c>base_model.model.</c>, TRL
/// <c>pretrained_model.</c>, …): all names of the backbone then have one common prefix, which is taken off. Names of the head have the
/// whole prefix, its beginning, or nothing.
/// </summary>
internal sealed partial class TensorNames
{
    /// <summary>The usual prefix.</summary>
    public const string Usual = "model.";

    /// <summary>Names of the embedding table in transformers, and in InternLM2.</summary>
    private static readonly string[] Embeddings = ["embed_tokens.weight", "tok_embeddings.weight"];

    private readonly List<string> _prefixes = [];
    private readonly HashSet<string> _replaced;

    /// <summary>Finds the prefix.</summary>
    /// <param name="folder">The folder, for messages.</param>
    /// <param name="keys">All names in the files.</param>
    /// <exception cref="CheckpointException">There are two models in the files.</exception>
    public TensorNames(string folder, IReadOnlyCollection<string> keys)
    {
        string[] tables = [.. keys.Select(key => WithoutWrappers(TrainedCopy().Replace(key, "."))).Where(IsEmbedding)];
        string[] found = [.. tables.Select(key => key[..^EmbeddingOf(key)!.Length]).Distinct()];
        if (found is [var first, var second, ..] && !(found.Length == 2 && found.Order(StringComparer.Ordinal).SequenceEqual(["", Usual])))
            throw new CheckpointException(
                $"{folder} has two models: {Shown.Short(tables.First(key => key.StartsWith(first, StringComparison.Ordinal)))} and "
                + $"{Shown.Short(tables.Last(key => key.StartsWith(second, StringComparison.Ordinal)))}. "
                + $"Save the one that scores by itself.");

        // The whole prefix, and then its beginnings, longest first.
        string prefix = found is [var only] && only.Length > 0 ? only : Usual;
        for (string rest = prefix; rest.Length > 0; rest = rest[..(rest.LastIndexOf('.', rest.Length - 2) + 1)]) _prefixes.Add(rest);
        _replaced = [.. keys.Where(key => TrainedCopy().IsMatch(key)).Select(key => TrainedCopy().Replace(key, "."))];
    }

    /// <summary>Whether a tensor is the embedding table.</summary>
    public static bool IsTable(string name) => Embeddings.Contains(name);

    /// <summary>Returns the name of a tensor; null for one that another tensor replaces.</summary>
    public string? Of(string key)
    {
        // PEFT keeps the head as it was beside the one that was trained with the adapter.
        if (key.Contains(".original_module.", StringComparison.Ordinal))
        {
            key = key.Replace(".original_module.", ".", StringComparison.Ordinal);
            if (_replaced.Contains(key)) return null;
        }

        string name = WithoutWrappers(TrainedCopy().Replace(key, "."));
        string? prefix = _prefixes.Find(prefix => name.StartsWith(prefix, StringComparison.Ordinal) && name.Length > prefix.Length);
        return prefix is null ? name : name[prefix.Length..];
    }

    private static bool IsEmbedding(string key) => EmbeddingOf(key) is not null;

    private static string? EmbeddingOf(string key) => Array.Find(Embeddings, name =>
        key.EndsWith(name, StringComparison.Ordinal) && (key.Length == name.Length || key[^(name.Length + 1)] == '.'));

    /// <summary>Takes off the modules that wrap one layer of many; whole models are wrapped in them too.</summary>
    private static string WithoutWrappers(string key) => Wrapper().Replace(key, "$1");

    [GeneratedRegex(@"(^|\.)(?:(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.)+", RegexOptions.CultureInvariant)]
    private static partial Regex Wrapper();

    [GeneratedRegex(@"\.modules_to_save\.[^.]+\.", RegexOptions.CultureInvariant)]
    private static partial Regex TrainedCopy();
}
