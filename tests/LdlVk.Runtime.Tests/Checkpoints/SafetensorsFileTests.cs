using System.Buffers.Binary;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Testing;
using Xunit;
using static LdlVk.Runtime.Tests.Checkpoints.Safetensors;

namespace LdlVk.Runtime.Tests.Checkpoints;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Reads_names_shapes_metadata_and_values()
    {
        string path = _folder.Write("x.safetensors", Build(
            """{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[24,32]},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"scalar":{"dtype":"F64","shape":[],"data_offsets":[32,40]},"none":{"dtype":"BF16","shape":[0,4],"data_offsets":[40,40]}}   """,
            [.. Floats(1, 2, 3, 4, 5, 6), .. Floats(-7, 0.5f), .. BitConverter.GetBytes(0.1)]));
        using SafetensorsFile file = SafetensorsFile.Open(path);
        Assert.Equal(["a", "b", "none", "scalar"], file.Names.Order());
        Assert.Equal("pt", file.Metadata["format"]);
        CheckpointTensor a = file.Tensor("a");
        Assert.Equal(("a", ElementType.Fp32, 6L, 24L, 2, 3), (a.Name, a.ElementType, a.Count, a.Bytes, a.Rows, a.Columns));
        Assert.Equal([2, 3], a.Shape);
        float[] middle = new float[3];
        a.Read(2, middle);
        Assert.Equal([3, 4, 5], middle);
        float[] b = new float[2];
        file.Tensor("b").Read(0, b);
        Assert.Equal([-7, 0.5f], b);
        file.Tensor("scalar").Read(0, b.AsSpan(0, 1));
        Assert.Equal(0.1f, b[0]);
        Assert.Equal(0, file.Tensor("none").Count);
    }

    [Fact]
    public void Reads_outside_the_tensor_are_refused()
    {
        string path = _folder.Write("x.safetensors", Build("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}""", Floats(1, 2, 3, 4)));
        SafetensorsFile file = SafetensorsFile.Open(path);
        CheckpointTensor a = file.Tensor("a");
        Assert.Throws<ArgumentOutOfRangeException>(() => a.Read(1, new float[2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => a.Read(-1, new float[1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => a.Read(long.MaxValue, new float[1]));
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => a.Read(0, new float[1]));
    }

    /// <summary>Every 16-bit pattern against the value its definition gives: sign · 2^exponent · significand.</summary>
    [Theory]
    [InlineData("BF16", ElementType.Bf16, 8, 7)]
    [InlineData("F16", ElementType.Fp16, 5, 10)]
    public void Sixteen_bit_floats_convert_exactly(string dtype, ElementType type, int exponentBits, int fractionBits)
    {
        byte[] data = new byte[2 * 65536];
        for (int i = 0; i < 65536; i++) BinaryPrimitives.WriteUInt16LittleEndian(data.AsSpan(2 * i), (ushort)i);
        // A header of odd length, so that no element is aligned.
        string header = $$$"""{"w":{"dtype":"{{{dtype}}}","shape":[65536],"data_offsets":[0,131072]}}""";
        string path = _folder.Write("x.safetensors", Build(header.PadRight(header.Length | 1), data));
        using SafetensorsFile file = SafetensorsFile.Open(path);
        CheckpointTensor tensor = file.Tensor("w");
        Assert.Equal(type, tensor.ElementType);
        float[] read = new float[65536], pieces = new float[65536];
        tensor.Read(0, read);
        for (int at = 0, step = 1; at < pieces.Length; at += step, step = Math.Min(step + 1, 61)) tensor.Read(at, pieces.AsSpan(at, Math.Min(step, pieces.Length - at)));

        int bias = (1 << (exponentBits - 1)) - 1;
        for (int bits = 0; bits < 65536; bits++)
        {
            int exponent = (bits >> fractionBits) & ((1 << exponentBits) - 1), fraction = bits & ((1 << fractionBits) - 1);
            double sign = bits < 0x8000 ? 1 : -1;
            double expected = exponent == (1 << exponentBits) - 1
                ? fraction == 0 ? sign * double.PositiveInfinity : double.NaN
                : sign * Math.Pow(2, Math.Max(exponent, 1) - bias - fractionBits) * (fraction + (exponent == 0 ? 0 : 1 << fractionBits));
            Assert.True(expected.Equals((double)read[bits]), $"0x{bits:x4}: {read[bits]} instead of {expected}");
            Assert.Equal(double.IsNegative(expected), float.IsNaN(read[bits]) ? double.IsNegative(expected) : float.IsNegative(read[bits]));
            Assert.Equal(read[bits], pieces[bits]);
        }
    }

    /// <summary>Offsets beyond 2 GiB, and that neither opening nor reading copies the file.</summary>
    [Fact]
    public void Files_over_two_gigabytes_are_read_without_a_copy()
    {
        const long count = 750_000_000;
        string path = _folder.Write("big.safetensors", Build($$$"""{"w":{"dtype":"F32","shape":[1000,750000],"data_offsets":[0,{{{count * 4}}}]}}""", []));
        using (FileStream stream = new(path, FileMode.Open))
        {
            try
            {
                stream.SetLength(stream.Length + (count * 4));
            }
            catch (IOException)
            {
                Assert.Skip("no room for a file of 3 GB");
            }
            stream.Seek(-8, SeekOrigin.End);
            stream.Write(Floats(1.5f, -2.5f));
        }
        float[] tail = new float[3];
        long before = GC.GetAllocatedBytesForCurrentThread();
        using (SafetensorsFile file = SafetensorsFile.Open(path)) file.Tensor("w").Read(count - 3, tail);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
        Assert.Equal([0, 1.5f, -2.5f], tail);
    }

    [Fact]
    public void Many_threads_read_the_same_values()
    {
        float[] values = [.. Enumerable.Range(0, 10_000).Select(i => (float)i)];
        string path = _folder.Write("x.safetensors", Build("""{"w":{"dtype":"F32","shape":[10000],"data_offsets":[0,40000]}}""", Floats(values)));
        using SafetensorsFile file = SafetensorsFile.Open(path);
        CheckpointTensor tensor = file.Tensor("w");
        Parallel.For(0, 1000, i =>
        {
            float[] read = new float[100];
            tensor.Read(i * 7, read);
            Assert.Equal(values.AsSpan(i * 7, 100).ToArray(), read);
        });
    }

    [Fact]
    public void Unknown_element_types_matter_only_when_asked_for()
    {
        string path = _folder.Write("x.safetensors", Build("""{"q":{"dtype":"F8_E5M2","shape":[4],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", new byte[8]));
        using SafetensorsFile file = SafetensorsFile.Open(path);
        Assert.Equal(1, file.Tensor("w").Count);
        string message = Assert.Throws<CheckpointException>(() => file.Tensor("q")).Message;
        Assert.Contains("F8_E5M2", message);
        Assert.Contains(path, message);
        Assert.Contains("nope", Assert.Throws<CheckpointException>(() => file.Tensor("nope")).Message);
    }

    [Fact]
    public void A_header_length_of_two_to_the_sixtieth_is_refused() =>
        Refused(Build("""{}""", [], 1UL << 60), "header", "1,152,921,504,606,846,976");

    [Theory]
    [InlineData(0, "empty")]
    [InlineData(5, "5 bytes")]
    [InlineData(40, "truncated")]
    [InlineData(-1, "truncated")]
    public void Truncated_files_are_refused(int length, string says)
    {
        byte[] whole = Build("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", Floats(1, 2));
        Refused(whole[..(length < 0 ? whole.Length + length : length)], says);
    }

    [Theory]
    [InlineData("not json at all!", "JSON")]
    [InlineData("[1,2,3,4,5,6]", "array")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]""", "JSON", "data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}""", "uplicate", "a")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"\u0061":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}""", "uplicate")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "tensor b", "overlaps a")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "tensor a", "hole of 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "4 bytes behind", "(a)")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}""", "Tensor a", "truncated")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", "tensor a", "needs 12")]
    [InlineData("""{"a":{"dtype":"F16","shape":[3],"data_offsets":[0,8]}}""", "tensor a", "needs 6")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", "tensor a", "[8,0]")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}""", "tensor a", "[-8,0]")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,1e300]}}""", "tensor a", "1e300")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}""", "tensor a", "data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", "tensor a", "-2")]
    [InlineData("""{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}""", "tensor a", "\"2\"")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}""", "tensor a", "2.5")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}}""", "tensor a", "9 dimensions")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,8]}}""", "tensor a", "more elements")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1073741824,1073741824,16],"data_offsets":[0,8]}}""", "tensor a", "more elements")]
    [InlineData("""{"a":{"dtype":"F32","shape":[18446744073709551618],"data_offsets":[0,8]}}""", "tensor a", "18446744073709551618")]
    [InlineData("""{"a":{"dtype":32,"shape":[2],"data_offsets":[0,8]}}""", "tensor a", "dtype")]
    [InlineData("""{"a":7}""", "tensor a")]
    [InlineData("""{"__metadata__":{"x":1},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "__metadata__")]
    [InlineData("""{"\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "JSON")]
    public void Damaged_headers_are_refused(string header, params string[] says) => Refused(Build(header, Floats(1, 2)), says);

    private void Refused(byte[] bytes, params string[] says)
    {
        string path = _folder.Write("bad.safetensors", bytes);
        string message = Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(path)).Message;
        Assert.Contains(path, message);
        foreach (string part in says) Assert.Contains(part, message);
    }
}
