namespace LdlVk.Hub;

/// <summary>A file of a repository.</summary>
/// <param name="Name">Its path in the repository, with '/'.</param>
/// <param name="Bytes">Its size; -1 if the hub does not say.</param>
/// <param name="Sha256">SHA-256 of a large file, in hexadecimal; null for a small one.</param>
/// <param name="BlobSha1">SHA-1 that git gives a small file, of <c>blob SIZE\0</c> and the bytes, in hexadecimal; null for a large
/// one.</param>
public sealed record HubFile(string Name, long Bytes, string? Sha256, string? BlobSha1)
{
    /// <summary>The checksum of the file, of either kind.</summary>
    public string Checksum => (Sha256 ?? BlobSha1)!;

    /// <summary>Whether it holds tensors in the format safetensors.</summary>
    public bool IsSafetensors => Name.EndsWith(".safetensors", StringComparison.Ordinal);

    /// <summary>Whether it holds a model's tensors, or those of an adapter.</summary>
    public bool IsWeights => IsSafetensors
        || (Name.EndsWith(".bin", StringComparison.Ordinal)
            && (Name.StartsWith("pytorch_model", StringComparison.Ordinal) || Name.StartsWith("adapter_model", StringComparison.Ordinal)));
}
