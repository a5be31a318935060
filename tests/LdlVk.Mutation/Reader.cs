using LdlVk.Testing;

namespace LdlVk.Mutation;

/// <summary>A reader of foreign bytes, and inputs from which its mutants are made.</summary>
internal sealed class Reader : IDisposable
{
    private readonly TempFolder _folder;
    private readonly Action<TempFolder, byte[]> _read;

    /// <param name="name">Its name.</param>
    /// <param name="seeds">Sound inputs, and hand-made bombs.</param>
    /// <param name="read">Reads an input, for which it may use the folder.</param>
    public Reader(string name, IEnumerable<byte[]> seeds, Action<TempFolder, byte[]> read)
    {
        (Name, _read, Seeds) = (name, read, [.. seeds]);
        _folder = new TempFolder();
    }

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>Sound inputs, and hand-made bombs.</summary>
    public IReadOnlyList<byte[]> Seeds { get; }

    /// <summary>Number of bombs, which are the last seeds.</summary>
    public int Bombs { get; init; }

    /// <summary>Whether its inputs are JSON.</summary>
    public bool IsJson { get; init; }

    /// <summary>Words that mean something to it.</summary>
    public IReadOnlyList<byte[]> Words { get; init; } = [];

    /// <summary>Whether an exception is one that it may throw for a bad input.</summary>
    public Func<Exception, bool> IsOurs { get; init; } =
        e => e is LdlVkException || (e is IOException and not FileNotFoundException and not DirectoryNotFoundException);

    /// <summary>Reads an input.</summary>
    public void Read(byte[] input) => _read(_folder, input);

    /// <inheritdoc/>
    public void Dispose() => _folder.Dispose();
}
