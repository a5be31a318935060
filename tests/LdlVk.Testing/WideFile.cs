using System.Buffers.Binary;
using System.Text;

namespace LdlVk.Testing;

/// <summary>Makes a safetensors file large.</summary>
public static class WideFile
{
    /// <summary>Adds a tensor that no model uses, most of which is a hole in the file.</summary>
    public static void Widen(string path, int bytes)
    {
        byte[] old = File.ReadAllBytes(path);
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(old);
        string header = Encoding.UTF8.GetString(old, 8, length).TrimEnd();
        long end = old.Length - 8 - length;
        string wide = $"{header[..^1]},\"unused\":{{\"dtype\":\"F32\",\"shape\":[{bytes / 4}],\"data_offsets\":[{end},{end + bytes}]}}}}";
        using FileStream file = File.Create(path);
        Span<byte> number = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(number, Encoding.UTF8.GetByteCount(wide));
        file.Write(number);
        file.Write(Encoding.UTF8.GetBytes(wide));
        file.Write(old.AsSpan(8 + length));
        file.SetLength(file.Length + bytes);
    }
}
