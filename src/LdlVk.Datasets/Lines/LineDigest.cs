using System.Security.Cryptography;
using LdlVk.Datasets.Containers;

namespace LdlVk.Datasets.Lines;

/// <summary>
/// A digest of the lines read so far: for each line, the SHA-256 of the previous digest and the line. Runs with the same digest have read
/// the same lines.
/// </summary>
public sealed class LineDigest
{
    private byte[] _value = new byte[SHA256.HashSizeInBytes];
    private bool _isHeld;
    private byte[] _buffer = [];

    /// <summary>Number of lines so far.</summary>
    public long Lines { get; private set; }

    /// <summary>The digest, in hexadecimal.</summary>
    public string Value => Convert.ToHexStringLower(_value);

    /// <summary>Returns the digest of the lines so far, which later lines do not change.</summary>
    internal ReadOnlyMemory<byte> Hold()
    {
        _isHeld = true;
        return _value;
    }

    /// <summary>Adds a line.</summary>
    public void Add(RawLine line)
    {
        // A line that is too long to be read counts as empty, as in the results.
        if (_buffer.Length < _value.Length + line.Bytes.Length) _buffer = new byte[_value.Length + (2 * line.Bytes.Length)];
        _value.CopyTo(_buffer, 0);
        line.Bytes.Span.CopyTo(_buffer.AsSpan(_value.Length));
        if (_isHeld) (_value, _isHeld) = (new byte[SHA256.HashSizeInBytes], false);
        SHA256.HashData(_buffer.AsSpan(0, _value.Length + line.Bytes.Length), _value);
        Lines++;
    }
}
