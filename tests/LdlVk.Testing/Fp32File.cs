using System.Buffers.Binary;
using System.Text.Json;

namespace LdlVk.Testing;

/// <summary>Writes a safetensors file of tensors in fp32.</summary>
public static class Fp32File
{
    /// <summary>The bytes of a file.</summary>
    public static byte[] Of(IEnumerable<OtherHead.Tensor> tensors)
    {
        OtherHead.Tensor[] all = [.. tensors];
        long offset = 0;
        byte[] header = JsonSerializer.SerializeToUtf8Bytes(all.ToDictionary(t => t.Name, t => new
        {
            dtype = "F32",
            shape = t.Shape,
            data_offsets = (long[])[offset, offset += sizeof(float) * t.Values.Length],
        }));
        byte[] file = new byte[sizeof(long) + header.Length + offset];
        BinaryPrimitives.WriteInt64LittleEndian(file, header.Length);
        header.CopyTo(file, sizeof(long));
        int at = sizeof(long) + header.Length;
        foreach (float value in all.SelectMany(t => t.Values)) BinaryPrimitives.WriteSingleLittleEndian(file.AsSpan((at += sizeof(float)) - sizeof(float)), value);
        return file;
    }
}
