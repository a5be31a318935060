using System.Text.Json;

namespace LdlVk.Clients.Tests;

/// <summary>The clients of npm, unmodified, run by npm/clients.mjs: their scores have the bits of the library's.</summary>
[Trait("Duration", "Long")]
public sealed class NpmClientTests(Served served, NpmClientTests.Calls calls) : IClassFixture<NpmClientTests.Calls>
{
    /// <summary>One run of all calls, for all tests.</summary>
    public sealed class Calls(Served served)
    {
        private readonly Lazy<Task<Dictionary<string, JsonElement>>> _all = new(() => RunAsync(served));

        public async Task<JsonElement> ResultAsync(string call) => (await _all.Value)[call];

        private static async Task<Dictionary<string, JsonElement>> RunAsync(Served served)
        {
            if (OperatingSystem.IsWindows()) Assert.Skip("eng/fetch-clients is for a Unix shell.");
            (int status, string folder, string why) = await ProcessOutput.OfAsync("bash", ["eng/fetch-clients"], null);
            if (status != 0) Assert.Skip($"The clients of npm are not here: {why.Trim()}");
            string input = JsonSerializer.Serialize(new
            {
                url = served.Url, key = Served.Key, folder = folder.Trim(),
                cases = served.Cases.Select(c => new
                {
                    text = c.Text, messages = new[] { new { role = "user", content = c.Prompt }, new { role = "assistant", content = c.Response } },
                }),
            });
            (status, string output, string error) = await ProcessOutput.OfAsync("node", ["tests/LdlVk.Clients.Tests/npm/clients.mjs"], input);
            Assert.True(status == 0, output + error);
            return output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<JsonElement>(line))
                .ToDictionary(result => result.GetProperty("call").GetString()!);
        }
    }

    [Theory]
    [InlineData("openai: embeddings.create")]
    [InlineData("openai: embeddings.create, floats")]
    [InlineData("openai: post /v1/score")]
    [InlineData("openai: post /v1/classify")]
    [InlineData("openai: chat.completions.create")]
    [InlineData("openai: chat.completions.create, logprobs")]
    [InlineData("@huggingface/inference: chatCompletion")]
    [InlineData("@huggingface/inference: textClassification of a text")]
    [InlineData("@huggingface/inference: textClassification of a pair")]
    public async Task Scores_have_the_bits_of_the_library(string call) =>
        Assert.Equal(served.Cases.Select(c => c.Score), await ScoresAsync(call));

    [Theory]
    [InlineData("cohere-ai: CohereClientV2.rerank")]
    [InlineData("cohere-ai: CohereClient.rerank")]
    public async Task Ranked_scores_have_the_bits_of_the_library(string call) =>
        Assert.Equal(served.Cases.Select(c => served.ScoreToFirstPrompt(c.Response)), await ScoresAsync(call));

    [Fact]
    public async Task The_best_document_comes_first()
    {
        float[] scores = [.. served.Cases.Select(c => served.ScoreToFirstPrompt(c.Response))];
        Assert.Equal([Array.IndexOf(scores, scores.Max()), scores.Max()], await ScoresAsync("cohere-ai: the best of them"));
    }

    [Theory]
    [InlineData("openai: models.list")]
    [InlineData("openai: models.retrieve")]
    public async Task The_model_is_found(string call) =>
        Assert.Equal("mini", Assert.Single((await calls.ResultAsync(call)).GetProperty("scores").EnumerateArray()).GetString());

    [Fact]
    public async Task A_chat_answer_has_the_attributes()
    {
        (string, float)[] attributes =
        [
            .. (await calls.ResultAsync("openai: chat.completions.create, attributes")).GetProperty("scores").EnumerateArray()
                .Select(pair => (pair[0].GetString()!, pair[1].GetSingle())),
        ];
        Assert.Equal(served.AttributesOfFirst, attributes);
    }

    [Fact]
    public async Task An_error_has_its_words_in_the_client()
    {
        JsonElement result = await calls.ResultAsync("openai: a conversation that ends with the user");
        Assert.InRange(result.GetProperty("status").GetInt32(), 400, 422);
        Assert.Contains("assistant", result.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("openai: a wrong key", 401)]
    [InlineData("cohere-ai: a wrong key", 401)]
    [InlineData("@huggingface/inference: a wrong key", 401)]
    public async Task A_wrong_key_is_an_error_of_the_client(string call, int status)
    {
        JsonElement result = await calls.ResultAsync(call);
        Assert.True(result.TryGetProperty("status", out JsonElement actual), result.ToString());
        Assert.Equal(status, actual.GetInt32());
    }

    private async Task<float[]> ScoresAsync(string call)
    {
        JsonElement result = await calls.ResultAsync(call);
        Assert.True(result.TryGetProperty("scores", out JsonElement scores), result.ToString());
        return [.. scores.EnumerateArray().Select(score => score.GetSingle())];
    }
}
