using System.Text.Json;

namespace LdlVk.Server.Tests;

/// <summary>What bad requests get: a status, and a body in the shape of their protocol that says which text and why.</summary>
public class ErrorTests(Mini mini)
{
    private static readonly int[] BadIds = [1 << 20];

    [Fact]
    public async Task Every_protocol_says_which_text_is_wrong_in_its_own_shape()
    {
        await using Api api = await Api.StartAsync(mini);
        string good = mini.Goldens[0].Text, tooLong = string.Concat(Enumerable.Repeat("word ", 9000));
        Check(await api.PostAsync("get_reward", new { query = new[] { good, tooLong } }), 422, "application/json", json => json.GetProperty("detail"), json => json);
        Check(await api.PostAsync("v1/score/evaluation", new { messages = new[] { good, tooLong } }), 422, "application/json", json => json.GetProperty("detail"), json => json);
        Check(await api.PostAsync("classify", new { input = new[] { good, tooLong } }), 400, "application/json", json => json.GetProperty("error").GetProperty("message"), json => json.GetProperty("error"));
        Check(await api.PostAsync("classify", new { text = new[] { good, tooLong } }), 400, "application/json", json => json.GetProperty("error").GetProperty("message"), json => json.GetProperty("error"));
        Check(await api.PostAsync("v1/embeddings", new { input = new[] { good, tooLong } }), 400, "application/json", json => json.GetProperty("message"), json => json);
        Check(await api.PostAsync("predict", new { inputs = new[] { new[] { good }, [tooLong] } }), 413, "application/json", json => json.GetProperty("error"), json => json);
        Check(await api.PostAsync("rerank", new { query = "a", texts = new[] { "b", tooLong } }), 413, "application/json", json => json.GetProperty("error"), json => json);
        Check(await api.PostAsync("v1/compare", new { prompt = "a", responses = new[] { "b", tooLong } }), 422, "application/problem+json", json => json.GetProperty("detail"), json => json);

        static void Check(Reply reply, int status, string type, Func<JsonElement, JsonElement> message, Func<JsonElement, JsonElement> holder)
        {
            Assert.Equal((status, type), (reply.Status, reply.Type));
            Assert.Contains("Text 1 (counted from 0)", message(reply.Json).GetString(), StringComparison.Ordinal);
            JsonElement error = Assert.Single(holder(reply.Json).GetProperty("errors").EnumerateArray());
            Assert.Equal(1, error.GetProperty("index").GetInt32());
            Assert.Contains("8192", error.GetProperty("reason").GetString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_option_is_named_as_the_requests_field_or_as_the_servers()
    {
        await using Api api = await Api.StartAsync(mini);
        string tooLong = string.Concat(Enumerable.Repeat("word ", 9000));
        Reply vllm = await api.PostAsync("classify", new { input = tooLong });
        Assert.Contains(
            "pass truncate_prompt_tokens to drop", vllm.Json.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
        Reply own = await api.PostAsync("v1/compare", new { prompt = "a", responses = new[] { "b", tooLong } });
        Assert.Contains("pass server option truncate to drop", own.Json.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_a_request_without_any_reward_is_an_error_of_our_own_protocol()
    {
        await using Api api = await Api.StartAsync(mini);
        Reply reply = await api.PostAsync("v1/rewards", new { items = new object[] { new { prompt = 1, response = "b" }, new { input_ids = BadIds } } });
        Assert.Equal((422, "application/problem+json"), (reply.Status, reply.Type));
        Assert.Equal(["about:blank", "Unprocessable Entity"], new[] { "type", "title" }.Select(n => reply.Json.GetProperty(n).GetString()));
        Assert.Equal(422, reply.Json.GetProperty("status").GetInt32());
        Assert.Equal([0, 1], reply.Json.GetProperty("errors").EnumerateArray().Select(e => e.GetProperty("index").GetInt32()));
    }

    [Theory]
    [InlineData("v1/rewards", "", 400)]
    [InlineData("v1/rewards", "[]", 400)]
    [InlineData("v1/rewards", "{\"prompt\":", 400)]
    [InlineData("v1/rewards", "{}", 422)]
    [InlineData("v1/rewards", "{\"items\":[]}", 422)]
    [InlineData("v1/rewards", "{\"prompt\":\"a\",\"response\":\"\\ud800\"}", 400)]
    [InlineData("v1/rewards", "{\"prompt\":\"a\",\"response\":\"b\",\"prompt\":\"c\"}", 400)]
    [InlineData("get_reward", "{}", 422)]
    [InlineData("get_reward", "{\"query\":[3]}", 422)]
    [InlineData("classify", "{\"input\":{}}", 400)]
    [InlineData("classify", "{\"input\":\"a\",\"messages\":[]}", 400)]
    [InlineData("score", "{\"text_1\":[\"a\",\"b\"],\"text_2\":[\"a\",\"b\",\"c\"]}", 400)]
    [InlineData("predict", "{\"inputs\":[\"a\",\"b\",\"c\"]}", 422)]
    [InlineData("rerank", "{\"query\":\"a\",\"texts\":[]}", 413)]
    [InlineData("v1/score/evaluation", "{\"messages\":[]}", 400)]
    public async Task Wrong_fields_have_the_protocol_s_status(string path, string body, int status)
    {
        await using Api api = await Api.StartAsync(mini);
        Reply reply = await api.PostAsync(path, body);
        Assert.True(status == reply.Status, $"{reply.Status}: {reply.Text}");
        Assert.Equal(JsonValueKind.Object, reply.Json.ValueKind);
    }

    [Fact]
    public async Task Limits_of_texts_bytes_and_tokens_are_413()
    {
        await using Api api = await Api.StartAsync(mini, Api.Options with { MaxTexts = 4, MaxBodyBytes = 4096, MaxQueueTokens = 300 });
        string[] five = ["a", "b", "c", "d", "e"];
        Assert.Equal(413, (await api.PostAsync("v1/rewards", new { prompt = "a", responses = five })).Status);
        Assert.Equal(413, (await api.PostAsync("get_reward", new { query = five })).Status);
        Reply tei = await api.PostAsync("rerank", new { query = "a", texts = five });
        Assert.Equal((413, "batch size 5 > maximum allowed batch size 4", "Validation"), (tei.Status, tei.Json.GetProperty("error").GetString(), tei.Json.GetProperty("error_type").GetString()));
        Assert.Equal(413, (await api.PostAsync("get_reward", new { query = new string('x', 5000) })).Status);
        Assert.Equal(413, (await api.PostAsync("get_reward", new { query = string.Concat(Enumerable.Repeat("word and ", 400)) })).Status);
        Assert.Equal(200, (await api.PostAsync("get_reward", new { query = five[..4] })).Status);
    }

    [Theory]
    [InlineData("health", 200)]
    [InlineData("ready", 200)]
    [InlineData("", 200)]
    [InlineData("classify", 405)]
    public async Task The_head_alone_is_to_be_had_where_GET_is(string path, int status)
    {
        await using Api api = await Api.StartAsync(mini);
        using HttpRequestMessage request = new(HttpMethod.Head, path);
        using HttpResponseMessage response = await api.Client.SendAsync(request);
        Assert.Equal((status, ""), ((int)response.StatusCode, await response.Content.ReadAsStringAsync()));
    }

    [Fact]
    public async Task Where_there_is_nothing_problem_json_says_so()
    {
        await using Api api = await Api.StartAsync(mini);
        Reply none = await api.GetAsync("nothing"), method = await api.GetAsync("get_reward");
        Assert.Equal((404, "application/problem+json"), (none.Status, none.Type));
        Assert.Equal((405, "application/problem+json"), (method.Status, method.Type));
        Assert.Contains("POST", method.Json.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }
}
