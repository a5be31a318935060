using System.Runtime.InteropServices;

namespace LdlVk.Testing;

/// <summary>
/// What a compute kernel takes of a workgroup's resources, read off its SPIR-V with given specialization constants: the size of the
/// workgroup and the bytes of shared memory. A driver would need as much or a little more.
/// </summary>
public sealed class SpirvWorkgroup
{
    private const int WorkgroupClass = 4, BuiltIn = 11, WorkgroupSize = 25, SpecId = 1, LocalSize = 17, LocalSizeId = 38;

    private readonly Dictionary<uint, uint> _given, _specIds = [], _values = [], _sizes = [], _pointed = [];
    private readonly Dictionary<uint, uint[]> _composites = [];
    private uint _sizeConstant;

    /// <summary>Reads a module.</summary>
    /// <param name="words">The module.</param>
    /// <param name="constants">Its specialization constants, by their numbers.</param>
    public SpirvWorkgroup(ReadOnlySpan<byte> words, IReadOnlyDictionary<uint, uint> constants)
    {
        _given = new(constants);
        ReadOnlySpan<uint> module = MemoryMarshal.Cast<byte, uint>(words);
        for (int at = 5; at < module.Length;)
        {
            int length = (int)(module[at] >> 16), op = (int)(module[at] & 0xffff);
            Read(op, module.Slice(at + 1, length - 1));
            at += length;
        }

        if (_sizeConstant != 0) Size = [.. _composites[_sizeConstant].Select(id => _values[id])];
    }

    /// <summary>Invocations in x, y and z.</summary>
    public uint[] Size { get; private set; } = [1, 1, 1];

    /// <summary>Invocations.</summary>
    public uint Threads => Size[0] * Size[1] * Size[2];

    /// <summary>Bytes of shared memory.</summary>
    public uint SharedBytes { get; private set; }

    private void Read(int op, ReadOnlySpan<uint> w)
    {
        switch (op)
        {
            case 16 when w[1] == LocalSize: Size = w.Slice(2, 3).ToArray(); break;
            case 331 when w[1] == LocalSizeId: Size = [.. w.Slice(2, 3).ToArray().Select(id => _values[id])]; break;
            case 71 when w[1] == SpecId: _specIds[w[0]] = w[2]; break;
            case 71 when w[1] == BuiltIn && w[2] == WorkgroupSize: _sizeConstant = w[0]; break;
            case 20: _sizes[w[0]] = 4; break;
            case 21 or 22: _sizes[w[0]] = w[1] / 8; break;
            case 23: _sizes[w[0]] = _sizes[w[1]] * w[2]; break;
            case 28: _sizes[w[0]] = _sizes.GetValueOrDefault(w[1]) * _values[w[2]]; break;
            case 30: _sizes[w[0]] = (uint)w[1..].ToArray().Sum(member => _sizes.GetValueOrDefault(member)); break;
            case 32 when w[1] == WorkgroupClass: _pointed[w[0]] = w[2]; break;
            case 41 or 48: _values[w[1]] = Given(w[1], 1); break;
            case 42 or 49: _values[w[1]] = Given(w[1], 0); break;
            case 43 or 50: _values[w[1]] = Given(w[1], w[2]); break;
            case 44 or 51: _composites[w[1]] = w[2..].ToArray(); break;
            case 52: _values[w[1]] = Evaluate((int)w[2], w[3..]); break;
            case 59 when w[2] == WorkgroupClass: SharedBytes += _sizes[_pointed[w[0]]]; break;
        }
    }

    private uint Given(uint id, uint otherwise) =>
        _specIds.TryGetValue(id, out uint number) && _given.TryGetValue(number, out uint value) ? value : otherwise;

    /// <summary>The operations on integers and truth values that the kernels' constants need.</summary>
    private uint Evaluate(int op, ReadOnlySpan<uint> ids)
    {
        uint a = _values.GetValueOrDefault(ids[0]), b = ids.Length > 1 ? _values.GetValueOrDefault(ids[1]) : 0;
        return op switch
        {
            124 or 113 or 114 => a,
            128 => a + b,
            130 => a - b,
            132 => a * b,
            134 or 135 => a / b,
            137 or 139 => a % b,
            164 or 170 => a == b ? 1u : 0,
            165 or 171 => a != b ? 1u : 0,
            166 => a | b,
            167 => a & b,
            168 => a == 0 ? 1u : 0,
            169 => a != 0 ? b : _values.GetValueOrDefault(ids[2]),
            172 or 173 => a > b ? 1u : 0,
            174 or 175 => a >= b ? 1u : 0,
            176 or 177 => a < b ? 1u : 0,
            178 or 179 => a <= b ? 1u : 0,
            194 or 195 => a >> (int)b,
            196 => a << (int)b,
            197 => a | b,
            199 => a & b,
            _ => throw new NotSupportedException($"Operation {op} of a specialization constant is not evaluated here."),
        };
    }
}
