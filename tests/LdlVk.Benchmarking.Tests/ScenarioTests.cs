using LdlVk.Runtime.Model;

namespace LdlVk.Benchmarking.Tests;

public class ScenarioTests
{
    private static readonly BackboneConfig Config = BenchShape.Parse("vocab=100").Config;

    [Fact]
    public void Lists_are_read_in_their_order()
    {
        Assert.Equal([(1, 128, 128), (1, 5, 5)], ScenarioList.ReadTexts("128,5", Config).Select(Size));
        Assert.Equal([(4, 2048, 2048), (3, 21, 21)], ScenarioList.ReadPacked("4x512,3x7", Config).Select(Size));
    }

    [Fact]
    public void A_shared_prompt_is_computed_once()
    {
        (Scenario full, Scenario shared) = Assert.Single(ScenarioList.ReadBestOf("4x20+3", Config, batchTokens: 50));
        Assert.Equal((4, 92, 92), Size(full));
        Assert.Equal((4, 92, 32), Size(shared));
        Assert.InRange(full.MaxBatchRows, 1, 50);
        Assert.Equal(("best-of unshared", "best-of"), (full.Name, shared.Name));
    }

    [Theory]
    [InlineData("0", "0: \"0\" is not N, with whole numbers from 1.")]
    [InlineData("12,x", "12,x: \"x\" is not N, with whole numbers from 1.")]
    [InlineData("9000", "9000: \"9000\" is longer than the model's 8192 positions.")]
    public void A_wrong_length_is_an_error(string list, string message) =>
        Assert.Equal(message, Assert.Throws<UsageException>(() => ScenarioList.ReadTexts(list, Config)).Message);

    [Theory]
    [InlineData("512", "512: \"512\" is not TEXTSxN, with whole numbers from 1.")]
    [InlineData("5000x1", "5000x1: 5000 texts are more than the 4096 that are measured at a time.")]
    public void A_wrong_batch_is_an_error(string list, string message) =>
        Assert.Equal(message, Assert.Throws<UsageException>(() => ScenarioList.ReadPacked(list, Config)).Message);

    [Theory]
    [InlineData("16x1000", "16x1000: \"16x1000\" is not ANSWERSxPROMPT+ANSWER, with whole numbers from 1.")]
    [InlineData("2x8000+200", "2x8000+200: \"2x8000+200\" is longer than the model's 8192 positions.")]
    public void Wrong_answers_are_an_error(string list, string message) =>
        Assert.Equal(message, Assert.Throws<UsageException>(() => ScenarioList.ReadBestOf(list, Config, 8192)).Message);

    private static (int Texts, int Tokens, int Rows) Size(Scenario scenario) => (scenario.Texts, scenario.Tokens, scenario.Rows);
}
