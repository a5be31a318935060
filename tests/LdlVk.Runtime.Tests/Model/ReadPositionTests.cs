using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Model;

/// <summary>The token that a head reads. The rules of the first two are those that tests/data/goldens and transformers' own code follow.</summary>
public sealed class ReadPositionTests
{
    [Theory]
    [InlineData(nameof(ReadRule.RightmostNotPad), new[] { 5, 6, 7 }, 2)]
    [InlineData(nameof(ReadRule.RightmostNotPad), new[] { 5, 6, 9 }, 1)]
    [InlineData(nameof(ReadRule.RightmostNotPad), new[] { 5, 9, 6, 9, 9 }, 2)]
    [InlineData(nameof(ReadRule.RightmostNotPad), new[] { 9, 9, 5, 6 }, 3)]
    [InlineData(nameof(ReadRule.RightmostNotPad), new[] { 9, 9 }, 0)]
    [InlineData(nameof(ReadRule.BeforeFirstPad), new[] { 5, 6, 7 }, 2)]
    [InlineData(nameof(ReadRule.BeforeFirstPad), new[] { 5, 6, 9 }, 1)]
    [InlineData(nameof(ReadRule.BeforeFirstPad), new[] { 5, 9, 6, 9, 9 }, 0)]
    [InlineData(nameof(ReadRule.BeforeFirstPad), new[] { 9, 5, 9, 6 }, 3)]
    [InlineData(nameof(ReadRule.LastToken), new[] { 5, 6, 9 }, 2)]
    public void Each_rule_finds_its_token(string rule, int[] ids, int position)
    {
        Assert.Equal(position, ReadPosition.Of(Enum.Parse<ReadRule>(rule), ids, 9));
        Assert.Equal(ids.Length - 1, ReadPosition.Of(Enum.Parse<ReadRule>(rule), ids, null));
    }

    /// <summary>The goldens' inputs pad_id_* hold literal padding, and say where the original reads.</summary>
    [Theory]
    [InlineData("a_f32_sliding", new[] { 463, 7, 298, 0, 226, 252 }, 2)]
    [InlineData("a_f32_sliding", new[] { 0, 266, 306 }, 2)]
    [InlineData("s_skywork_bf16", new[] { 463, 0, 298, 0, 0 }, 2)]
    [InlineData("i_inform_bf16", new[] { 463, 511, 298, 511 }, 0)]
    public void A_model_has_the_rule_of_its_own_code(string name, int[] ids, int position)
    {
        using Checkpoint checkpoint = Checkpoint.Open(Repository.Path("tests", "data", "goldens", name));
        Assert.Equal(position, checkpoint.ReadPosition(ids));
    }
}
