using System.Security.Cryptography;

namespace LdlVk.Datasets.Lines;

/// <summary>
/// Names the lines of an input up to any of them: SHA-256 of the digest before and the line. Two runs that agree on it have read the same.
/// </summary>
internal sealed class LineDigest
{
    private byte[] _value = new byte[SHA256.HashSizeInBytes];
    private byte[] _buffer = [];

    /// <summary>Lines so far.</summary>
    public long Lines { get; private set; }

    /// <summary>The digest, in hexadecimal.</summary>
    public string Value => Convert.ToHexStringLower(_value);

    /// <summary>Adds a line.</summary>
    public void Add(RawLine line)
    {
        // What is too long to be read counts as nothing, as it does for the results.
        if (_buffer.Length < _value.Length + line.Bytes.Length) _buffer = new byte[_value.Length + (2 * line.Bytes.Length)];
        _value.CopyTo(_buffer, 0);
        line.Bytes.Span.CopyTo(_buffer.AsSpan(_value.Length));
        _value = SHA256.HashData(_buffer.AsSpan(0, _value.Length + line.Bytes.Length));
        Lines++;
    }
}
