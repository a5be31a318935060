using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace LdlVk.Runtime.Tests.Checkpoints;

/// <summary>Bytes of a safetensors file from a header and data, whatever they say.</summary>
internal static class Safetensors
{
    public static byte[] Build(string header, byte[] data, ulong? claimedLength = null)
    {
        byte[] text = Encoding.UTF8.GetBytes(header), file = new byte[8 + text.Length + data.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(file, claimedLength ?? (ulong)text.Length);
        text.CopyTo(file, 8);
        data.CopyTo(file, 8 + text.Length);
        return file;
    }

    public static byte[] Floats(params float[] values)
    {
        byte[] bytes = new byte[values.Length * 4];
        for (int i = 0; i < values.Length; i++) BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * 4), values[i]);
        return bytes;
    }
}

/// <summary>Writes pickles by instruction (protocol 2), and the zip files that torch.save puts them in.</summary>
internal sealed class Pickle
{
    private readonly MemoryStream _bytes = new();

    public Pickle Raw(params byte[] bytes)
    {
        _bytes.Write(bytes);
        return this;
    }

    public Pickle Raw(string ascii) => Raw(Encoding.ASCII.GetBytes(ascii));

    public Pickle Protocol(byte version = 2) => Raw(0x80, version);

    public Pickle Global(string module, string name) => Raw($"c{module}\n{name}\n");

    public Pickle Text(string text)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text), length = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, utf8.Length);
        return Raw("X").Raw(length).Raw(utf8);
    }

    public Pickle Long(long value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        return Raw(0x8a, 8).Raw(bytes);
    }

    public Pickle Longs(params long[] values)
    {
        Raw("(");
        foreach (long value in values) Long(value);
        return Raw("t");
    }

    public Pickle OrderedDict() => Global("collections", "OrderedDict").Raw(")R");

    public Pickle Storage(string type, string key, string device, long elements, string module = "torch") =>
        Raw("(").Text("storage").Global(module, type).Text(key).Text(device).Long(elements).Raw("tQ");

    /// <summary>_rebuild_tensor_v2 over a storage.</summary>
    public Pickle Tensor(string type, string key, long elements, long offset, long[] shape, long[] strides, string device = "cpu") =>
        Global("torch._utils", "_rebuild_tensor_v2").Raw("(").Storage(type, key, device, elements)
            .Long(offset).Longs(shape).Longs(strides).Raw([0x89]).OrderedDict().Raw("tR");

    /// <summary>A state dict of what <paramref name="items"/> writes between MARK and SETITEMS.</summary>
    public static byte[] StateDict(Action<Pickle> items)
    {
        Pickle pickle = new Pickle().Protocol().OrderedDict().Raw("(");
        items(pickle);
        return pickle.Raw("u.").ToArray();
    }

    public byte[] ToArray() => _bytes.ToArray();

    public static byte[] Zip(byte[] pickle, params (string Name, byte[] Data)[] entries) => Zip(CompressionLevel.NoCompression, pickle, entries);

    public static byte[] Zip(CompressionLevel level, byte[] pickle, params (string Name, byte[] Data)[] entries)
    {
        using MemoryStream zip = new();
        using (ZipArchive archive = new(zip, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach ((string name, byte[] data) in entries.Prepend(("data.pkl", pickle)))
            {
                using Stream entry = archive.CreateEntry("archive/" + name, level).Open();
                entry.Write(data);
            }
        }
        return zip.ToArray();
    }
}
