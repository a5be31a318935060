using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Testing;
using Xunit;
using static LdlVk.Runtime.Tests.Checkpoints.Safetensors;

namespace LdlVk.Runtime.Tests.Checkpoints;

public sealed class TorchFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(CompressionLevel.NoCompression)]
    [InlineData(CompressionLevel.Optimal)]
    public void Contiguous_offset_strided_and_shared_tensors(CompressionLevel level)
    {
        byte[] pickle = Pickle.StateDict(p => p
            .Text("plain").Tensor("FloatStorage", "0", 6, 0, [2, 3], [3, 1])
            .Text("transposed").Tensor("FloatStorage", "0", 6, 0, [3, 2], [1, 3], "cuda:0")
            .Text("tail").Tensor("FloatStorage", "0", 6, 4, [2], [1])
            .Text("column").Tensor("FloatStorage", "0", 6, 1, [2], [3])
            .Text("rows").Tensor("FloatStorage", "0", 6, 1, [2, 2], [3, 1])
            .Text("scalar").Tensor("FloatStorage", "0", 6, 5, [], [])
            .Text("empty").Tensor("FloatStorage", "0", 6, 6, [0, 3], [3, 1]));
        using TorchFile file = Open(Pickle.Zip(level, pickle, ("data/0", Floats(1, 2, 3, 4, 5, 6)), ("byteorder", "little"u8.ToArray())));
        Assert.Equal([1, 2, 3, 4, 5, 6], Values(file, "plain"));
        Assert.Equal([1, 4, 2, 5, 3, 6], Values(file, "transposed"));
        Assert.Equal([5, 6], Values(file, "tail"));
        Assert.Equal([2, 5], Values(file, "column"));
        Assert.Equal([2, 3, 5, 6], Values(file, "rows"));
        Assert.Equal([6], Values(file, "scalar"));
        Assert.Empty(Values(file, "empty"));
        Assert.Equal([3, 2], file.Tensors["transposed"].Shape);
        Assert.Equal("head.pt:plain", file.Tensors["plain"].Name);
        float[] middle = new float[4];
        file.Tensors["transposed"].Read(1, middle);
        Assert.Equal([4, 2, 5, 3], middle);
    }

    [Fact]
    public void Every_float_type_and_the_untyped_form()
    {
        byte[] half = new byte[4], double8 = new byte[16];
        BinaryPrimitives.WriteHalfLittleEndian(half, (Half)1.5f);
        BinaryPrimitives.WriteHalfLittleEndian(half.AsSpan(2), (Half)(-0.25f));
        BinaryPrimitives.WriteDoubleLittleEndian(double8, 0.1);
        BinaryPrimitives.WriteDoubleLittleEndian(double8.AsSpan(8), -1e300);
        byte[] pickle = Pickle.StateDict(p => p
            .Text("half").Tensor("HalfStorage", "h", 2, 0, [2], [1])
            .Text("bf16").Tensor("BFloat16Storage", "b", 2, 0, [2], [1])
            .Text("double").Tensor("DoubleStorage", "d", 2, 0, [2], [1])
            .Text("untyped").Global("torch._utils", "_rebuild_tensor_v3").Raw("(").Storage("UntypedStorage", "f", "cpu", 8, "torch.storage")
                .Long(0).Longs(2).Longs(1).Raw([0x89]).OrderedDict().Global("torch", "float32").Raw("tR")
            .Text("parameter").Global("torch._utils", "_rebuild_parameter").Raw("(").Tensor("FloatStorage", "f", 2, 0, [2], [1]).Raw([0x88]).OrderedDict().Raw("tR"));
        using TorchFile file = Open(Pickle.Zip(pickle, ("data/h", half), ("data/b", [0xC0, 0x3F, 0x80, 0xBE]), ("data/d", double8), ("data/f", Floats(3, 4))));
        Assert.Equal([1.5f, -0.25f], Values(file, "half"));
        Assert.Equal([1.5f, -0.25f], Values(file, "bf16"));
        Assert.Equal([0.1f, float.NegativeInfinity], Values(file, "double"));
        Assert.Equal([3, 4], Values(file, "untyped"));
        Assert.Equal([3, 4], Values(file, "parameter"));
        Assert.Equal(ElementType.Bf16, file.Tensors["bf16"].ElementType);
    }

    [Fact]
    public void Protocol_4_with_frames_memo_and_stack_globals()
    {
        // PROTO 4, FRAME, 'collections' MEMOIZE 'OrderedDict' MEMOIZE STACK_GLOBAL MEMOIZE EMPTY_TUPLE REDUCE MEMOIZE, one item, BUILD of a dict.
        Pickle p = new Pickle().Protocol(4).Raw(0x95).Raw(new byte[8])
            .Raw(0x8c, 11).Raw("collections").Raw(0x94).Raw(0x8c, 11).Raw("OrderedDict").Raw(0x94).Raw(0x93, 0x94).Raw(")R").Raw(0x94).Raw("(")
            .Raw(0x8c, 1).Raw("w").Raw(0x94).Tensor("FloatStorage", "0", 1, 0, [1], [1]).Raw("u")
            .Raw("}").Text("_metadata").Raw("h").Raw(2).Raw(")Rsb.");
        using TorchFile file = Open(Pickle.Zip(p.ToArray(), ("data/0", Floats(42))));
        Assert.Equal([42], Values(file, "w"));
    }

    /// <summary>The classic attack, in every way a pickle can name a function. The marker must never appear.</summary>
    [Theory]
    [InlineData("global", "posix.system")]
    [InlineData("stack", "os.system")]
    [InlineData("protocol0", "os.system")]
    [InlineData("inst", "os.system")]
    [InlineData("nested", "builtins.eval")]
    [InlineData("persistent", "subprocess.Popen")]
    [InlineData("torch", "torch.load")]
    public void Code_is_never_executed(string way, string named)
    {
        string marker = _folder["marker"], command = $"touch {marker}";
        byte[] pickle = way switch
        {
            "global" => new Pickle().Protocol().Global("posix", "system").Raw("(").Text(command).Raw("tR.").ToArray(),
            "stack" => new Pickle().Protocol(4).Text("os").Text("system").Raw(0x93).Raw("(").Text(command).Raw("tR.").ToArray(),
            "protocol0" => new Pickle().Raw($"cos\nsystem\n(S'{command}'\ntR.").ToArray(),
            "inst" => new Pickle().Raw("(").Text(command).Raw("ios\nsystem\n.").ToArray(),
            "nested" => Pickle.StateDict(p => p.Text("w").Global("builtins", "eval").Raw("(").Text($"__import__('os').system('{command}')").Raw("tR")),
            "persistent" => new Pickle().Protocol().Raw("(").Text("storage").Global("subprocess", "Popen").Text("0").Text("cpu").Long(1).Raw("tQ.").ToArray(),
            _ => Pickle.StateDict(p => p.Text("w").Global("torch", "load").Raw("(").Text(marker).Raw("tR")),
        };
        Refused(Pickle.Zip(pickle, ("data/0", Floats(1))), named, "Nothing was executed");
        Assert.False(File.Exists(marker));
    }

    [Fact]
    public void Known_functions_are_not_called_with_other_arguments()
    {
        Refused(Pickle.Zip(new Pickle().Protocol().Global("collections", "OrderedDict").Raw("(").Text("x").Raw("tR.").ToArray()), "call");
        Refused(Pickle.Zip(new Pickle().Protocol().Text("x").Raw(")R.").ToArray()), "call");
        Refused(Pickle.Zip(new Pickle().Protocol().Text("x").Raw("}b.").ToArray()), "attributes");
        Refused(Pickle.Zip(new Pickle().Protocol().Global("collections", "OrderedDict").Raw([(byte)')', 0x81, (byte)'.']).ToArray()), "0x81");
    }

    [Theory]
    [InlineData(7, 0, new long[] { 6 }, new long[] { 1 }, "28 bytes")] // storage claims more than the entry has
    [InlineData(6, 0, new long[] { 7 }, new long[] { 1 }, "more elements")]
    [InlineData(6, 1, new long[] { 6 }, new long[] { 1 }, "beyond")]
    [InlineData(6, 0, new long[] { 2, 3 }, new long[] { 4, 1 }, "beyond")]
    [InlineData(6, 0, new long[] { 2 }, new long[] { long.MaxValue }, "beyond")]
    [InlineData(6, 0, new long[] { 2, 2 }, new long[] { long.MaxValue, long.MaxValue }, "beyond")]
    [InlineData(6, long.MaxValue, new long[] { 2 }, new long[] { 1 }, "beyond")]
    [InlineData(6, 7, new long[] { 0 }, new long[] { 1 }, "beyond")]
    [InlineData(6, -1, new long[] { 2 }, new long[] { 1 }, "impossible")]
    [InlineData(6, 0, new long[] { -2 }, new long[] { 1 }, "impossible")]
    [InlineData(6, 3, new long[] { 2 }, new long[] { -1 }, "impossible")]
    [InlineData(6, 0, new long[] { 2, 3 }, new long[] { 1 }, "impossible")]
    [InlineData(6, 0, new long[] { 1L << 40 }, new long[] { 0 }, "impossible")]
    [InlineData(6, 0, new long[] { 1 << 30, 1 << 30 }, new long[] { 0, 0 }, "more elements")] // an expanded tensor as a bomb
    [InlineData(long.MaxValue, 0, new long[] { 2 }, new long[] { 1 }, "storage")]
    [InlineData(-1, 0, new long[] { 2 }, new long[] { 1 }, "storage")]
    public void Tensors_stay_inside_their_storage(long elements, long offset, long[] shape, long[] strides, string says) =>
        Refused(Pickle.Zip(Pickle.StateDict(p => p.Text("w").Tensor("FloatStorage", "0", elements, offset, shape, strides)), ("data/0", Floats(1, 2, 3, 4, 5, 6))), says);

    [Fact]
    public void Missing_storages_and_foreign_values_are_named()
    {
        Refused(Pickle.Zip(Pickle.StateDict(p => p.Text("w").Tensor("FloatStorage", "../../etc/passwd", 1, 0, [1], [1]))), "w", "../../etc/passwd", "lacks");
        Refused(Pickle.Zip(Pickle.StateDict(p => p.Text("epoch").Long(3))), "epoch", "not a tensor");
        Refused(Pickle.Zip(new Pickle().Protocol().Raw("].").ToArray()), "no state dict");
        Refused(Pickle.Zip(Pickle.StateDict(p => p.Text("w").Tensor("ComplexFloatStorage", "0", 1, 0, [1], [1])), ("data/0", new byte[8])), "torch.ComplexFloatStorage");
    }

    [Theory]
    [InlineData("\u0080\u0002", "middle of an instruction")]
    [InlineData("\u0080\u0009.", "protocol 9")]
    [InlineData("\u0080\u0002.", "more values")]
    [InlineData("\u0080\u0002t.", "never opened")]
    [InlineData("\u0080\u0002N\u0086.", "more values")]
    [InlineData("\u0080\u0002N(0.", "more values")]
    [InlineData("\u0080\u0002q\u0001.", "where there is none")]
    [InlineData("\u0080\u0002h\u0001.", "recalls value 1")]
    [InlineData("\u0080\u0002N]s.", "where there is none")]
    [InlineData("\u0080\u0002NNNs.", "dictionary")]
    [InlineData("\u0080\u0002}NNs.", "not text")]
    [InlineData("\u0080\u0002NNa.", "list")]
    [InlineData("\u0080\u0002X\u00ff\u00ff\u00ff\u00ff.", "middle of an instruction")]
    [InlineData("\u0080\u0002\u008d\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff.", "middle of an instruction")]
    [InlineData("\u0080\u0002\u008a\u0009123456789.", "64 bits")]
    [InlineData("\u0080\u0002X\u0002\u0000\u0000\u0000\u00ff\u00ff.", "UTF-8")]
    [InlineData("\u0080\u0002NQ.", "persistent id")]
    [InlineData("\u0080\u0002cno newline", "without an end")]
    [InlineData("\u0080\u0002\u0082\u0001.", "0x82")]
    public void Nonsense_pickles_are_refused(string latin1, string says) =>
        Refused(Pickle.Zip(Encoding.Latin1.GetBytes(latin1)), says);

    [Fact]
    public void A_list_that_holds_itself_is_harmless() =>
        Refused(Pickle.Zip(new Pickle().Protocol().Raw("]q").Raw(0).Raw("h").Raw(0).Raw("a.").ToArray()), "no state dict");

    [Fact]
    public void Big_endian_and_older_formats_are_refused()
    {
        Refused(Pickle.Zip(Pickle.StateDict(_ => { }), ("byteorder", "big"u8.ToArray())), "big");
        Refused([0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e], "1.6");
        Refused([], "empty");
    }

    [Fact]
    public void Bombs_are_refused_before_they_inflate()
    {
        byte[] zeros = new byte[1 << 22];
        byte[] Bomb(long elements) => Pickle.Zip(CompressionLevel.Optimal, Pickle.StateDict(p => p.Text("w").Tensor("FloatStorage", "0", elements, 0, [1], [1])), ("data/0", zeros));
        Refused(Bomb(1), "storage of 4 bytes", "4,194,304");
        Refused(PatchDirectory(Bomb(1 << 28), "archive/data/0", bytes: 1u << 30), "claims 1,073,741,824 bytes");
        Refused(PatchDirectory(Pickle.Zip(CompressionLevel.Optimal, new byte[100_000]), "archive/data.pkl", bytes: 2_000_000), "data.pkl");
        // Deflate can expand 3 MB to 2 GiB; that is more than any head.
        byte[] noise = new byte[3 << 20];
        new Random(1).NextBytes(noise);
        byte[] large = Pickle.Zip(CompressionLevel.Optimal, Pickle.StateDict(p => p.Text("w").Tensor("FloatStorage", "0", 1 << 29, 0, [1], [1])), ("data/0", noise));
        Refused(PatchDirectory(large, "archive/data/0", bytes: 1u << 31), "inflate to more than");
        // Zeros deflate to a thousandth: what a file may inflate to is bounded by what it is.
        byte[] sparse = Pickle.Zip(
            CompressionLevel.Optimal, Pickle.StateDict(p => p.Text("w").Tensor("FloatStorage", "0", 1 << 25, 0, [1 << 25], [1])), ("data/0", new byte[1 << 27]));
        Refused(sparse, "inflate to more than 67,108,864 bytes");
        // Compressed data that end early are noticed when they are read.
        using TorchFile cut = Open(PatchDirectory(Bomb((1 << 20) + 1), "archive/data/0", bytes: (1u << 22) + 4));
        Assert.Contains("ends 4 bytes early", Assert.Throws<CheckpointException>(() => cut.Tensors["w"].Read(0, new float[1])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Zip_directories_that_lie_are_refused()
    {
        byte[] zip = Pickle.Zip(Pickle.StateDict(p => p.Text("w").Tensor("FloatStorage", "0", 2, 0, [2], [1])), ("data/0", Floats(1, 2)));
        using (TorchFile file = Open(zip)) Assert.Equal([1, 2], Values(file, "w"));
        Refused(zip[..(zip.Length / 2)], "truncated");
        Refused(PatchDirectory(zip, "archive/data/0", header: 0x7fffffff), "outside the file");
        Refused(PatchDirectory(zip, "archive/data/0", header: 3), "no header");
        Refused(PatchDirectory(zip, "archive/data/0", bytes: 1 << 20), "claims");
        Refused(Pickle.Zip(Pickle.StateDict(_ => { }), ("data/0", []), ("data/0", [])), "data/0 occurs twice");
        Refused(Pickle.Zip(Pickle.StateDict(_ => { }), ("x/data.pkl", [])), "2 entries data.pkl");
        byte[] count = (byte[])zip.Clone();
        BinaryPrimitives.WriteUInt16LittleEndian(count.AsSpan(count.Length - 12), 20_000);
        Refused(count, "20,000");
    }

    /// <summary>Changes what the central directory says of an entry, as an attacker would.</summary>
    private static byte[] PatchDirectory(byte[] zip, string name, uint? bytes = null, uint? header = null)
    {
        byte[] patched = (byte[])zip.Clone();
        int at = patched.AsSpan().LastIndexOf(Encoding.ASCII.GetBytes(name)) - 46;
        Assert.Equal(0x02014b50u, BinaryPrimitives.ReadUInt32LittleEndian(patched.AsSpan(at)));
        if (bytes is { } b) BinaryPrimitives.WriteUInt32LittleEndian(patched.AsSpan(at + 24), b);
        if (header is { } h) BinaryPrimitives.WriteUInt32LittleEndian(patched.AsSpan(at + 42), h);
        return patched;
    }

    private TorchFile Open(byte[] bytes) => TorchFile.Open(_folder.Write("head.pt", bytes));

    private static float[] Values(TorchFile file, string key)
    {
        float[] values = new float[file.Tensors[key].Count];
        file.Tensors[key].Read(0, values);
        return values;
    }

    private void Refused(byte[] bytes, params string[] says)
    {
        string path = _folder.Write("bad.pt", bytes);
        string message = Assert.Throws<CheckpointException>(() => TorchFile.Open(path).Dispose()).Message;
        Assert.Contains("bad.pt", message);
        foreach (string part in says) Assert.Contains(part, message);
    }
}
