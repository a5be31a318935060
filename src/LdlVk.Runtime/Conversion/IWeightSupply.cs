namespace LdlVk.Runtime.Conversion;

/// <summary>
/// Provides the safetensors files of a source that is converted during its download. Before a file is fetched and after it is released,
/// a sparse placeholder has its size, header and modification time, but no tensor data.
/// </summary>
public interface IWeightSupply
{
    /// <summary>Replaces placeholders by the verified files. None of them may be open.</summary>
    /// <param name="paths">The files.</param>
    void Fetch(IReadOnlySet<string> paths);

    /// <summary>Replaces files that are no longer needed by placeholders. None of them may be open.</summary>
    /// <param name="paths">The files.</param>
    void Release(IReadOnlySet<string> paths);
}
