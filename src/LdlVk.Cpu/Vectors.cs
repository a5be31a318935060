using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LdlVk.Cpu;

/// <summary>
/// The vector instructions that products of matrices and attention take. They choose the speed, never the bits. The other ops take vectors
/// of 256 bits.
/// </summary>
/// <param name="Wide">Vectors of 512 bits in place of 256.</param>
/// <param name="Bytes">Products of bytes, four at a time (AVX-VNNI), in place of 16-bit integers.</param>
internal readonly record struct Vectors(bool Wide, bool Bytes)
{
    /// <summary>
    /// What this processor is fastest with. .NET 10 offers AVX-VNNI, not the same instructions of AVX-512: Zen 4 and Ice Lake multiply
    /// 16-bit integers. Programs compiled ahead of time for processors with AVX2 take 256 bits everywhere.
    /// <para>
    /// <see cref="Vector512.IsHardwareAccelerated"/> is not asked: .NET says no on Skylake-SP, Cascade Lake and Cooper Lake, whose clock
    /// falls with 512 bits, which costs short loops more than they gain. Products gain twice the multiply-adds a cycle (llvm-mca,
    /// bench/RESULTS.md).
    /// </para>
    /// </summary>
    public static Vectors Best { get; } = new(Avx512DQ.IsSupported, AvxVnni.IsSupported);

    /// <summary>The choice in words, for the list of devices.</summary>
    public IEnumerable<string> Describe()
    {
        yield return Wide ? "512-bit vectors" : Vector256.IsHardwareAccelerated ? "256-bit vectors"
            : Vector128.IsHardwareAccelerated ? "128-bit vectors" : "vectors in software";
        if (Bytes) yield return "products of bytes";
    }
}
