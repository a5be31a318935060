using System.Buffers.Binary;
using System.Text;

namespace LdlVk.Testing;

/// <summary>A module of llama.cpp, with the constants that it is compiled with.</summary>
/// <param name="Name">Its symbol, without the suffix of data.</param>
/// <param name="Variant">Its use and its tile.</param>
/// <param name="Code">SPIR-V.</param>
/// <param name="Constants">Specialization constants 0, 1, 2, …</param>
/// <param name="SubgroupSize">The subgroup size.</param>
public sealed record PeerKernel(string Name, string Variant, byte[] Code, uint[] Constants, uint SubgroupSize);

/// <summary>
/// llama.cpp's kernels on matrix units, read from its library (libggml-vulkan.so, ELF with its symbols), to be compared with ours. The
/// constants are those that ggml-vulkan.cpp takes for large products and for attention of more than one row.
/// </summary>
public static class PeerKernels
{
    private const uint Nvidia = 0x10DE, Amd = 0x1002, Intel = 0x8086;

    // ggml_type of fp16, and the bytes of its block.
    private const uint TypeF16 = 1, F16Bytes = 2;

    /// <summary>The kernels that llama.cpp runs on a card.</summary>
    /// <param name="library">The library's path.</param>
    /// <param name="vendor">The card's vendor.</param>
    /// <param name="subgroupSize">Its usual subgroup size.</param>
    /// <param name="m">Rows of its matrix units' products.</param>
    /// <param name="n">Columns.</param>
    /// <param name="k">Length.</param>
    public static IEnumerable<PeerKernel> Of(string library, uint vendor, uint subgroupSize, uint m, uint n, uint k)
    {
        byte[] file = File.ReadAllBytes(library);
        uint warp = Math.Min(Math.Max(subgroupSize, 8), 64);
        uint[] large = vendor switch
        {
            Amd => [256, 128, 128, 16, warp, 64, 2, m, n, k, warp],
            Intel => [512, 128, 128, 16, warp, 32, 2, m, n, k, warp],
            _ => [128, 128, 128, 16, warp * 2, 64, 2, m, n, k, warp],
        };
        const uint Aligned = 1;
        foreach (string name in (string[])["matmul_f16_f32", "matmul_f16_f32_f16acc"])
            yield return new PeerKernel(name, $"{large[1]}x{large[2]}", Symbol(file, name + "_cm1_data"), [.. large, Aligned], warp);

        const uint Subgroups = 4, Rows = 16, Columns = 64;
        foreach (uint dimension in (uint[])[64, 128, 256])
        {
            uint staged = vendor == Nvidia && dimension < 256 ? 1u : 0;
            uint[] constants =
            [
                Subgroups * subgroupSize, Rows, Columns, dimension, dimension, 0, Math.Min(subgroupSize, 8), Subgroups, subgroupSize, staged, 0, 0,
                TypeF16, TypeF16, F16Bytes, F16Bytes,
            ];
            yield return new PeerKernel("flash_attn_f32_f16", $"heads of {dimension}", Symbol(file, "flash_attn_f32_f16_cm1_data"), constants, subgroupSize);
        }
    }

    /// <summary>What a symbol of a 64-bit ELF file stands for.</summary>
    private static byte[] Symbol(ReadOnlySpan<byte> file, string name)
    {
        const int SectionBytes = 64, SymbolBytes = 24, SymbolTable = 2;
        long sections = Long(file, 40);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(file[60..]);
        for (int s = 0; s < count; s++)
        {
            ReadOnlySpan<byte> section = file.Slice((int)sections + (s * SectionBytes), SectionBytes);
            if (Int(section, 4) != SymbolTable) continue;
            ReadOnlySpan<byte> names = Content(file, sections + ((long)Int(section, 40) * SectionBytes));
            ReadOnlySpan<byte> symbols = Content(file, sections + (s * SectionBytes));
            byte[] wanted = Encoding.ASCII.GetBytes(name + "\0");
            for (int i = 0; i + SymbolBytes <= symbols.Length; i += SymbolBytes)
            {
                ReadOnlySpan<byte> symbol = symbols.Slice(i, SymbolBytes);
                if (!names[Int(symbol, 0)..].StartsWith(wanted)) continue;
                long home = sections + ((long)BinaryPrimitives.ReadUInt16LittleEndian(symbol[6..]) * SectionBytes);
                long address = Long(file, (int)home + 16), offset = Long(file, (int)home + 24);
                return file.Slice((int)(Long(symbol, 8) - address + offset), (int)Long(symbol, 16)).ToArray();
            }
        }
        throw new InvalidDataException($"The library has no symbol {name}: another version of llama.cpp, or stripped.");
    }

    private static ReadOnlySpan<byte> Content(ReadOnlySpan<byte> file, long section) =>
        file.Slice((int)Long(file, (int)section + 24), (int)Long(file, (int)section + 32));

    private static int Int(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadInt32LittleEndian(bytes[at..]);

    private static long Long(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadInt64LittleEndian(bytes[at..]);
}
