using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Model;

/// <summary>Folders with no head, and with more than one: which would be scored is not guessed.</summary>
public class HeadKindTests
{
    private const int Hidden = 256;

    private static readonly string Mini = Repository.Path("models", "ldl-mini");
    private static readonly OtherHead.Tensor Score = Row("score.weight"), Value = Row("v_head.summary.weight");

    public static TheoryData<string, string, string[]> Pairs => new()
    {
        { "score.weight", "v_head.summary.weight", ["tensors score.*", "tensors v_head.summary.*"] },
        { "score.weight", "regression_layer.pt", ["tensors score.*", "regression_layer.pt and gating_layer.pt"] },
        { "v_head.summary.weight", "regression_layer.pt", ["tensors v_head.summary.*", "regression_layer.pt and gating_layer.pt"] },
    };

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Two_kinds_of_head_are_refused_and_both_are_named(string first, string second, string[] named)
    {
        using TempFolder temp = new();
        string message = Assert.Throws<CheckpointException>(() => Open(temp["model"], first, second)).Message;
        Assert.Contains("more than one reward head", message);
        Assert.All(named, name => Assert.Contains(name, message));
    }

    [Fact]
    public void A_folder_without_a_head_is_refused_and_every_kind_is_named()
    {
        using TempFolder temp = new();
        string message = Assert.Throws<CheckpointException>(() => Open(temp["model"])).Message;
        Assert.Contains("has no reward head", message);
        Assert.All((string[])["regression_layer.pt", "score.*", "v_head.summary.*"], name => Assert.Contains(name, message));
    }

    [Theory]
    [InlineData("score.weight", "score")]
    [InlineData("v_head.summary.weight", "score")]
    [InlineData("regression_layer.pt", "ldl")]
    public void One_kind_is_opened(string head, string name)
    {
        using TempFolder temp = new();
        using Checkpoint checkpoint = Open(temp["model"], head);
        Assert.Equal(name, checkpoint.Head.Name);
    }

    private static OtherHead.Tensor Row(string name) => new(name, [1, Hidden], new float[Hidden]);

    /// <summary>Opens the small model's backbone with these heads.</summary>
    private static Checkpoint Open(string folder, params string[] heads)
    {
        OtherHead.Write(folder, Mini, [.. ((OtherHead.Tensor[])[Score, Value]).Where(tensor => heads.Contains(tensor.Name))]);
        if (heads.Contains("regression_layer.pt"))
            foreach (string file in Directory.GetFiles(Mini, "*.pt")) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        return Checkpoint.Open(folder);
    }
}
