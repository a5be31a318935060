using System.Text;
using System.Text.Unicode;

namespace LdlVk.Runtime.Text.Files;

/// <summary>Goes over the fields of a message of Protocol Buffers, whose lengths are checked.</summary>
internal ref struct ProtobufReader(ReadOnlySpan<byte> message, string path)
{
    private ReadOnlySpan<byte> _rest = message;
    private readonly string _path = path;

    /// <summary>Whether the field is bytes: a text or a message.</summary>
    public bool IsBytes { get; private set; }

    /// <summary>The bytes of the field; empty for a number.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <summary>The field as a number; 0 for bytes.</summary>
    public long Number { get; private set; }

    /// <summary>Reads a field; false at the end.</summary>
    /// <exception cref="CheckpointException">The message is cut off, or is none.</exception>
    public bool Next(out int field)
    {
        field = 0;
        if (_rest.IsEmpty) return false;
        ulong key = Varint();
        field = (int)Math.Min(key >> 3, int.MaxValue);
        (IsBytes, Number) = (false, 0);
        Bytes = [];
        switch (key & 7)
        {
            case 0:
                Number = (long)Varint();
                break;
            case 1:
                Bytes = Take(8);
                break;
            case 2:
                Bytes = Take(Varint());
                IsBytes = true;
                break;
            case 5:
                Bytes = Take(4);
                break;
            default:
                throw Damaged();
        }

        return true;
    }

    /// <summary>The field as text.</summary>
    /// <exception cref="CheckpointException">It is not UTF-8.</exception>
    public readonly string Text() => Utf8.IsValid(Bytes) ? Encoding.UTF8.GetString(Bytes) : throw Damaged();

    private ReadOnlySpan<byte> Take(ulong length)
    {
        if (length > (ulong)_rest.Length) throw Damaged();
        ReadOnlySpan<byte> taken = _rest[..(int)length];
        _rest = _rest[(int)length..];
        return taken;
    }

    private ulong Varint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64 && !_rest.IsEmpty; shift += 7)
        {
            byte next = _rest[0];
            _rest = _rest[1..];
            value |= (ulong)(next & 127) << shift;
            if (next < 128) return value;
        }

        throw Damaged();
    }

    private readonly CheckpointException Damaged() =>
        new($"{_path} is no SentencePiece model, or is cut off. Download it again from the model's page.");
}
