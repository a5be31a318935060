namespace LdlVk.Runtime.Conversion;

/// <summary>
/// Brings the safetensors files of a source that is converted while it comes. Until a file is fetched, and after it is released, one lies
/// in its place that has its size, its header and its time of writing, and holes instead of tensors.
/// </summary>
public interface IWeightSupply
{
    /// <summary>Puts files where their stand-ins are, and returns when all bytes are right. None of them is open.</summary>
    /// <param name="paths">The files.</param>
    void Fetch(IReadOnlySet<string> paths);

    /// <summary>Puts the stand-ins back: the files are needed no more. None of them is open.</summary>
    /// <param name="paths">The files.</param>
    void Release(IReadOnlySet<string> paths);
}
