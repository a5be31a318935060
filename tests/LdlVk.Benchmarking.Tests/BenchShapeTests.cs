namespace LdlVk.Benchmarking.Tests;

public class BenchShapeTests
{
    [Theory]
    [InlineData("peer8", 1152, 8)]
    [InlineData("gemma2-27b", 4608, 46)]
    [InlineData("llama3-70b", 8192, 80)]
    [InlineData("llama3-8b", 4096, 32)]
    [InlineData("mistral-7b", 4096, 32)]
    [InlineData("qwen3-8b", 4096, 36)]
    [InlineData("gemma3-12b", 3840, 48)]
    public void A_known_name_is_a_shape(string name, int hidden, int layers)
    {
        BenchShape shape = BenchShape.Parse(name);
        Assert.Equal((name, hidden, layers), (shape.Name, shape.Config.HiddenSize, shape.Config.Layers));
        Assert.Contains(name, BenchShape.Names.Split('|'));
    }

    [Fact]
    public void Sizes_replace_those_of_peer8()
    {
        BenchShape shape = BenchShape.Parse("hidden=64,head-dim=32");
        Assert.Equal((64, 32, 32f), (shape.Config.HiddenSize, shape.Config.HeadDimension, shape.Config.QueryPreAttentionScalar));
        Assert.Equal(BenchShape.Parse("peer8").Config.IntermediateSize, shape.Config.IntermediateSize);
        Assert.Equal(3, shape.WithLayers(3).Config.Layers);
    }

    [Theory]
    [InlineData("gemma4", "gemma4: \"gemma4\" is no NAME=NUMBER. There are peer8, gemma2-27b, gemma3-12b, llama3-8b, llama3-70b, mistral-7b, qwen3-8b, hidden=")]
    [InlineData("hidden=0", "hidden=0: hidden is a whole number from 1 to 1048576")]
    [InlineData("depth=3", "depth=3: there is no depth")]
    [InlineData("kv-heads=3", "kv-heads=3: 3 kv-heads do not divide 8 heads")]
    [InlineData("head-dim=3", "head-dim=3: head-dim must be even")]
    public void A_wrong_shape_is_an_error(string text, string message) =>
        Assert.StartsWith(message, Assert.Throws<UsageException>(() => BenchShape.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Weight_formats_are_read_in_their_order()
    {
        Assert.Equal([WeightFormat.Int8, WeightFormat.Fp16], WeightFormatList.Parse("int8,fp16"));
        Assert.StartsWith("int3: there is only fp32, fp16, int8, int4",
            Assert.Throws<UsageException>(() => WeightFormatList.Parse("fp16,int3")).Message, StringComparison.Ordinal);
    }
}
