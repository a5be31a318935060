namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// A file of named tensors: safetensors, or a state dict of PyTorch. Opening verifies all names, shapes and byte ranges and reads no
/// tensor. A tensor of an unsupported type is an error only when it is requested.
/// </summary>
internal interface ITensorFile : IDisposable
{
    /// <summary>The path of the file.</summary>
    string Path { get; }

    /// <summary>The names of all tensors.</summary>
    IReadOnlyCollection<string> Names { get; }

    /// <summary>The metadata of the file: pairs of texts; empty for a state dict of PyTorch.</summary>
    IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Whether there is a tensor of this name.</summary>
    bool Contains(string name);

    /// <summary>Returns the dimensions of a tensor that is there, of any element type.</summary>
    IReadOnlyList<int> Shape(string name);

    /// <summary>Returns the tensor <paramref name="name"/>; messages call it <paramref name="shownAs"/> if given.</summary>
    /// <exception cref="CheckpointException">The tensor is missing or has an unsupported element type.</exception>
    CheckpointTensor Tensor(string name, string? shownAs = null);

    /// <summary>Returns the bytes of a tensor, which must have this element type (supported or not) and this shape.</summary>
    /// <param name="name">Its name in the file.</param>
    /// <param name="type">The element type, as safetensors names it: F32, F16, BF16, F64, I8 or U8.</param>
    /// <param name="shape">Dimensions, outermost first.</param>
    /// <exception cref="CheckpointException">The tensor is missing, or has another type or shape.</exception>
    FileRange Range(string name, string type, int[] shape);

    /// <summary>Frees what was read into memory and can be read again. Thread-safe.</summary>
    /// <exception cref="CheckpointException">The system refused to map the file again.</exception>
    void Forget();

    /// <inheritdoc cref="FileBytes.CheckUnchanged"/>
    void CheckUnchanged();
}
