using System.Buffers.Binary;
using System.Text;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// Reads a Python pickle (protocols 2 to 5) as data. A pickle is a program for a stack machine. This reader supports only the instructions
/// that build plain values. Its subclass handles names, calls and persistent ids: it allows a few known ones and refuses all others.
/// Nothing is ever executed.
/// <para>
/// Values: null, bool, long, double, string, object?[] (tuple), List&lt;object?&gt;, Dictionary&lt;string, object?&gt;, and what the
/// subclass creates. The length of the pickle, at most <see cref="MaxBytes"/>, limits time and memory: every instruction creates at most
/// one value. (Instruction set: Lib/pickletools.py of CPython.)
/// </para>
/// </summary>
internal abstract class PickleReader(string path, byte[] pickle)
{
    /// <summary>Limit of the length of a pickle in bytes; a state dict takes about 100 bytes per tensor.</summary>
    public const int MaxBytes = 1 << 20;

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly List<object?> _stack = [];
    private readonly Stack<int> _marks = [];
    private readonly Dictionary<long, object?> _memo = [];
    private int _at;

    /// <summary>The file being read, for messages.</summary>
    protected string Path => path;

    /// <summary>Runs the pickle and returns its value.</summary>
    /// <exception cref="CheckpointException">The pickle is damaged, or asks for anything beyond plain data.</exception>
    public object? Read()
    {
        while (true)
        {
            int start = _at;
            byte instruction = Bytes(1)[0];
            switch (instruction)
            {
                case (byte)'.': return Pop();
                case 0x80:
                    byte protocol = Bytes(1)[0];
                    if (protocol is < 2 or > 5) throw Refused($"is of pickle protocol {protocol}; 2 to 5 are read");
                    break;
                case 0x95: Bytes(8); break; // FRAME: a hint about buffering.

                case (byte)'N': Push(null); break;
                case 0x88: Push(true); break;
                case 0x89: Push(false); break;
                case (byte)'K': Push((long)Bytes(1)[0]); break;
                case (byte)'M': Push((long)BinaryPrimitives.ReadUInt16LittleEndian(Bytes(2))); break;
                case (byte)'J': Push((long)BinaryPrimitives.ReadInt32LittleEndian(Bytes(4))); break;
                case 0x8a: Push(Integer(Bytes(Bytes(1)[0]))); break;
                case (byte)'G': Push(BinaryPrimitives.ReadDoubleBigEndian(Bytes(8))); break;
                case 0x8c or (byte)'U': Push(Text(Bytes(1)[0])); break;
                case (byte)'X': Push(Text(BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4)))); break;
                case 0x8d: Push(Text(BinaryPrimitives.ReadUInt64LittleEndian(Bytes(8)))); break;

                case (byte)'(': _marks.Push(_stack.Count); break;
                case (byte)'0': Pop(); break;
                case (byte)')': Push(Array.Empty<object?>()); break;
                case 0x85 or 0x86 or 0x87: Push(PopMany(_stack.Count - (instruction - 0x84))); break;
                case (byte)'t': Push(PopMany(PopMark())); break;
                case (byte)']': Push(new List<object?>()); break;
                case (byte)'a': Append(PopMany(_stack.Count - 1)); break;
                case (byte)'e': Append(PopMany(PopMark())); break;
                case (byte)'}': Push(new Dictionary<string, object?>(StringComparer.Ordinal)); break;
                case (byte)'s': SetItems(PopMany(_stack.Count - 2)); break;
                case (byte)'u': SetItems(PopMany(PopMark())); break;

                case (byte)'q': _memo[Bytes(1)[0]] = Peek(); break;
                case (byte)'r': _memo[BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4))] = Peek(); break;
                case 0x94: _memo[_memo.Count] = Peek(); break;
                case (byte)'h': Push(Recall(Bytes(1)[0])); break;
                case (byte)'j': Push(Recall(BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4)))); break;

                case (byte)'c': Push(Global(Line(), Line())); break;
                case 0x93:
                    object?[] names = PopMany(_stack.Count - 2);
                    if (names is not [string module, string name]) throw Damaged("names a global by something else than text");
                    Push(Global(module, name));
                    break;
                case (byte)'i': throw Forbidden(Line(), Line()); // INST: names and calls in one.
                case (byte)'Q': Push(PersistentLoad(Pop())); break;
                case (byte)'R':
                    object?[] arguments = Pop() as object?[] ?? throw Damaged("calls with something else than a tuple");
                    Push(Call(Pop(), arguments));
                    break;
                case (byte)'b': // BUILD: the attributes of an OrderedDict (its _metadata), which is ignored.
                    Pop();
                    if (Peek() is not Dictionary<string, object?>) throw Refused("sets attributes of something else than a dictionary");
                    break;

                default: throw Refused($"has the pickle instruction 0x{instruction:x2} at byte {start}, which a state dict does not need");
            }
        }
    }

    /// <summary>Returns the value of a global name.</summary>
    /// <exception cref="CheckpointException">The name is not on the list of known names.</exception>
    protected abstract object Global(string module, string name);

    /// <summary>Returns the result of a known call.</summary>
    protected abstract object? Call(object? function, object?[] arguments);

    /// <summary>Returns the value of a persistent id.</summary>
    protected abstract object PersistentLoad(object? id);

    /// <summary>Creates the error for a name that is not on the list.</summary>
    protected CheckpointException Forbidden(string module, string name) =>
        Refused($"asks for the Python global {Shown.Short(module)}.{Shown.Short(name)}, which no state dict needs");

    /// <summary>Creates the error for content that could run code, or that is not known to be harmless.</summary>
    protected CheckpointException Refused(string what) =>
        new(
            $"{path} {what}. Nothing was executed. "
            + $"If you trust the file, load it in PyTorch with weights_only=True and save the module's state_dict() again; "
            + $"otherwise delete it.");

    /// <summary>Creates the error for an invalid pickle.</summary>
    protected CheckpointException Damaged(string what) =>
        new($"{path} is damaged: its pickle {what} (near byte {_at}). Nothing was executed. Download the file again.");

    private ReadOnlySpan<byte> Bytes(ulong count)
    {
        if (count > (ulong)(pickle.Length - _at)) throw Damaged("ends in the middle of an instruction");
        ReadOnlySpan<byte> bytes = pickle.AsSpan(_at, (int)count);
        _at += (int)count;
        return bytes;
    }

    private string Text(ulong length)
    {
        ReadOnlySpan<byte> bytes = Bytes(length);
        try
        {
            return Utf8.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw Damaged("has text that is not UTF-8");
        }
    }

    private string Line()
    {
        int length = pickle.AsSpan(_at).IndexOf((byte)'\n');
        if (length < 0) throw Damaged("has a name without an end");
        string line = Text((ulong)length);
        _at++;
        return line;
    }

    private long Integer(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > 8) throw Damaged("has an integer of more than 64 bits");
        long value = bytes.Length > 0 && (bytes[^1] & 0x80) != 0 ? -1 : 0;
        for (int i = bytes.Length - 1; i >= 0; i--) value = (value << 8) | bytes[i];
        return value;
    }

    private void Push(object? value) => _stack.Add(value);

    private object? Pop() => PopMany(_stack.Count - 1)[0];

    private object? Peek()
    {
        if (_stack.Count == (_marks.TryPeek(out int mark) ? mark : 0)) throw Damaged("takes a value where there is none");
        return _stack[^1];
    }

    private object?[] PopMany(int from)
    {
        if (from < (_marks.TryPeek(out int mark) ? mark : 0)) throw Damaged("takes more values than there are");
        object?[] values = [.. _stack[from..]];
        _stack.RemoveRange(from, values.Length);
        return values;
    }

    private int PopMark() => _marks.TryPop(out int mark) ? mark : throw Damaged("closes what it never opened");

    private object? Recall(long index) =>
        _memo.TryGetValue(index, out object? value) ? value : throw Damaged($"recalls value {index}, which it never stored");

    private void Append(object?[] values)
    {
        if (Peek() is not List<object?> list) throw Damaged("appends to something else than a list");
        list.AddRange(values);
    }

    private void SetItems(object?[] pairs)
    {
        if (Peek() is not Dictionary<string, object?> dictionary || pairs.Length % 2 != 0)
            throw Damaged("sets items of something else than a dictionary");
        for (int i = 0; i < pairs.Length; i += 2)
            dictionary[pairs[i] as string ?? throw Damaged("has a dictionary key that is not text")] = pairs[i + 1];
    }
}
