using System.Net.Http.Json;
using System.Text.Json;

namespace LdlVk.Clients.Tests;

/// <summary>Requests as trainers' public code writes them, read as that code reads the answers.</summary>
public sealed class TrainerRequestTests(Served served)
{
    /// <summary>verl/experimental/reward_loop/reward_loop.py, compute_score_disrm, with vLLM; later versions of vLLM have use_activation.</summary>
    [Theory]
    [InlineData("activation")]
    [InlineData("use_activation")]
    public async Task Verl_with_vllm_reads_the_last_of_probs(string activation)
    {
        foreach (Served.Case c in served.Cases)
        {
            JsonElement answer = await PostAsync("classify", new Dictionary<string, object> { ["model"] = "any", ["input"] = c.Text, [activation] = false });
            Assert.Equal(c.Score, Last(Last(answer.GetProperty("data")).GetProperty("probs")).GetSingle());
        }
    }

    /// <summary>As above, with SGLang.</summary>
    [Fact]
    public async Task Verl_with_sglang_reads_the_last_of_embedding()
    {
        foreach (Served.Case c in served.Cases)
        {
            JsonElement answer = await PostAsync("v1/embeddings", new { model = "any", input = c.Text });
            Assert.Equal(c.Score, Last(Last(answer.GetProperty("data")).GetProperty("embedding")).GetSingle());
        }
    }

    /// <summary>openrlhf/utils/agent.py, _fetch_rewards_via_http; texts are decoded with their special tokens, in batches with their padding.</summary>
    [Theory]
    [InlineData("", "")]
    [InlineData("<pad><pad><pad>", "")]
    [InlineData("", "<eos><pad>")]
    public async Task OpenRLHF_reads_scores_and_rewards(string before, string after)
    {
        JsonElement answer = await PostAsync("get_reward", new
        {
            query = served.Cases.Select(c => before + c.Text + after), prompts = served.Cases.Select(c => c.Prompt), labels = served.Cases.Select(_ => (string?)null),
        });
        foreach (string name in (string[])["rewards", "scores"])
            Assert.Equal(served.Cases.Select(c => c.Score), answer.GetProperty(name).EnumerateArray().Select(score => score.GetSingle()));
        Assert.Equal(JsonValueKind.Object, answer.GetProperty("extra_logs").ValueKind);
    }

    private static JsonElement Last(JsonElement list) => list[list.GetArrayLength() - 1];

    private async Task<JsonElement> PostAsync(string path, object body)
    {
        using HttpClient client = new() { BaseAddress = new Uri(served.Url) };
        client.DefaultRequestHeaders.Authorization = new("Bearer", Served.Key);
        using HttpResponseMessage response = await client.PostAsJsonAsync(path, body, TestContext.Current.CancellationToken);
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonSerializer.Deserialize<JsonElement>(text);
    }
}
