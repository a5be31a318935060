using System.Text.Json;

namespace LdlVk.Server.Tests;

/// <summary>Endpoints that answer in the forms of services: tokens, chat completions, SageMaker's one endpoint; and fields that change the text.</summary>
public class ServiceProtocolTests(Mini mini)
{
    private Mini.Golden A => mini.Goldens[0];

    private object[] Messages => [new { role = "user", content = A.Prompt }, new { role = "assistant", content = A.Response }];

    [Fact]
    public async Task Texts_and_conversations_become_tokens_and_tokens_text()
    {
        await using Api api = await Api.StartAsync(mini);
        JsonElement answer = (await api.PostAsync("tokenize", new { model = "m", prompt = "Hello, my name is" })).Ok;
        int[] ids = [.. answer.GetProperty("tokens").EnumerateArray().Select(t => t.GetInt32())];
        Assert.Equal(mini.Model.EncodeTemplated("Hello, my name is").Ids, ids);
        Assert.Equal((ids.Length, mini.Model.MaxTokens, JsonValueKind.Null), (answer.GetProperty("count").GetInt32(), answer.GetProperty("max_model_len").GetInt32(), answer.GetProperty("token_strs").ValueKind));
        Assert.Equal("<bos>Hello, my name is", (await api.PostAsync("detokenize", new { tokens = ids })).Ok.GetProperty("prompt").GetString());
        // A bos that is there is not doubled, and none comes unasked.
        Assert.Equal(ids, await IdsAsync(new { prompt = "<bos>Hello, my name is" }));
        Assert.Equal(ids[1..], await IdsAsync(new { prompt = "Hello, my name is", add_special_tokens = false }));
        // What is scored, and as vLLM has it: with the opening of the next turn.
        Assert.Equal(A.Ids, await IdsAsync(new { messages = Messages, add_generation_prompt = false }));
        int[] opened = await IdsAsync(new { messages = Messages });
        Assert.Equal(A.Text + "<start_of_turn>model\n", (await api.PostAsync("detokenize", new { tokens = opened })).Ok.GetProperty("prompt").GetString());
        JsonElement pieces = (await api.PostAsync("tokenize", new { prompt = "a sea\n", return_token_strs = true })).Ok.GetProperty("token_strs");
        Assert.Equal("<bos>", pieces[0].GetString());
        Assert.Contains(pieces.EnumerateArray(), p => p.GetString()!.StartsWith('▁'));

        async Task<int[]> IdsAsync(object body) => [.. (await api.PostAsync("tokenize", body)).Ok.GetProperty("tokens").EnumerateArray().Select(t => t.GetInt32())];
    }

    [Theory]
    [InlineData("é ü 😀 日本語\t\u0001\n\n  two")]
    [InlineData("<start_of_turn>user\n  <end_of_turn>▁")]
    public async Task Any_text_comes_back_from_its_tokens(string text)
    {
        await using Api api = await Api.StartAsync(mini);
        JsonElement tokens = (await api.PostAsync("tokenize", new { prompt = text, add_special_tokens = false })).Ok.GetProperty("tokens");
        // The tokenizer writes spaces as ▁, so one that was typed becomes a space.
        Assert.Equal(text.Replace('▁', ' '), (await api.PostAsync("detokenize", new { tokens })).Ok.GetProperty("prompt").GetString());
    }

    [Theory]
    [InlineData("tokenize", "{\"prompt\":3}", "prompt is the number 3")]
    [InlineData("tokenize", "{\"prompt\":\"a\",\"messages\":[]}", "do not go together")]
    [InlineData("tokenize", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":[{\"type\":\"function\"}]}", "tools would change the text")]
    [InlineData("detokenize", "{\"tokens\":[1000000000]}", "outside the vocabulary")]
    [InlineData("v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", "This model writes no answers")]
    [InlineData("v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}],\"stream\":true}", "in one piece")]
    [InlineData("v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}],\"tools\":[{}],\"documents\":[\"x\"]}", "documents would change the text")]
    [InlineData("pooling", "{\"input\":\"a\",\"task\":\"token_classify\"}", "one score for a whole text")]
    [InlineData("pooling", "{\"input\":\"a\",\"task\":\"embed\"}", "There is only classify")]
    [InlineData("classify", "{\"input\":\"a\",\"use_activation\":true}", "Apply it to the score")]
    [InlineData("classify", "{\"input\":\"a\",\"text\":\"b\"}", "do not go together")]
    [InlineData("score", "{\"text_1\":\"a\",\"text_2\":\"b\",\"instruction\":\"Judge.\"}", "instruction would change the text")]
    [InlineData("v1/rerank", "{\"query\":\"a\",\"documents\":[\"b\"],\"system\":\"Be brief.\"}", "system would change the text")]
    [InlineData("rerank", "{\"query\":\"a\",\"documents\":[]}", "documents is empty")]
    [InlineData("invocations", "{\"id\":3}", "none of the fields of an endpoint")]
    [InlineData("v1/embeddings", "{\"input\":\"a\",\"system_prompt\":\"x\"}", "system_prompt would change the text")]
    [InlineData("score", "{\"text_1\":\"a\",\"text_2\":\"b\",\"use_activation\":true}", "Apply it to the score")]
    [InlineData("v1/rerank", "{\"query\":\"a\",\"documents\":[\"b\"],\"activation\":true}", "Apply it to the score")]
    [InlineData("v2/rerank", "{\"query\":\"a\",\"documents\":[\"b\"],\"max_tokens_per_doc\":2}", "max_tokens_per_doc would change the scores")]
    [InlineData("v1/rerank", "{\"query\":\"a\",\"documents\":[{\"title\":\"c\",\"text\":\"b\"}],\"rank_fields\":[\"title\"]}", "rank_fields would change the scores")]
    [InlineData("v1/rerank", "{\"query\":\"a\",\"documents\":[\"b\"],\"texts\":[\"c\"]}", "do not go together")]
    [InlineData("score", "{\"text_1\":\"a\",\"text_2\":\"b\",\"documents\":[\"c\"]}", "text_1 and text_2 and documents, which do not go together")]
    [InlineData("score", "{\"queries\":\"a\",\"documents\":\"b\",\"items\":[\"c\"]}", "queries and documents and items, which do not go together")]
    [InlineData("v1/embeddings", "{\"input\":\"a\",\"messages\":[]}", "input and messages, which do not go together")]
    [InlineData("v1/embeddings", "{\"input\":\"a\",\"normalize\":true}", "Apply it to the score")]
    public async Task What_cannot_be_done_is_refused_with_OpenAI_s_error(string path, string body, string words)
    {
        await using Api api = await Api.StartAsync(mini);
        Reply reply = await api.PostAsync(path, body);
        Assert.True(reply.Status == 400, reply.Text);
        Assert.Contains(words, reply.Json.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("predict", "{\"inputs\":\"a\",\"prompt_name\":\"query\"}")]
    [InlineData("rerank", "{\"query\":\"a\",\"texts\":[\"b\"],\"instruction\":\"x\"}")]
    [InlineData("get_reward", "{\"query\":[\"a\"],\"system\":\"x\"}")]
    [InlineData("v1/rewards", "{\"prompt\":\"a\",\"response\":\"b\",\"tools\":[{}]}")]
    [InlineData("v1/rewards", "{\"prompt\":\"a\",\"response\":\"b\",\"truncate_prompt_tokens\":3}")]
    [InlineData("v1/rewards", "{\"items\":[{\"prompt\":\"a\",\"response\":\"b\",\"special_tokens\":\"tokens\"}]}")]
    [InlineData("render", "{\"items\":[{\"prompt\":\"a\",\"response\":\"b\",\"special_tokens\":\"tokens\"}]}")]
    [InlineData("v1/compare", "{\"prompt\":\"a\",\"a\":\"b\",\"b\":\"c\",\"max_length\":3}")]
    [InlineData("predict", "{\"inputs\":[\"a\",\"b\"],\"truncate_prompt_tokens\":3}")]
    [InlineData("get_reward", "{\"query\":[\"a\"],\"add_special_tokens\":false}")]
    [InlineData("render", "{\"prompt\":\"a\",\"response\":\"b\",\"documents\":[\"c\"]}")]
    public async Task A_field_that_changes_the_text_is_refused(string path, string body)
    {
        await using Api api = await Api.StartAsync(mini);
        Reply reply = await api.PostAsync(path, body);
        Assert.Equal(422, reply.Status);
        Assert.Contains("would", reply.Text, StringComparison.Ordinal);
        // Such a field that says nothing, and others, change nothing.
        Assert.Equal(200, (await api.PostAsync("v1/rerank", new { query = "a", documents = new[] { "b" }, system = "", tools = Array.Empty<string>(), user = "me", temperature = 0 })).Status);
    }

    [Fact]
    public async Task A_chat_completion_is_the_reward()
    {
        await using Api api = await Api.StartAsync(mini);
        JsonElement answer = (await api.PostAsync("v1/chat/completions", new { model = "m", messages = Messages, temperature = 0, max_tokens = 1 })).Ok;
        JsonElement choice = Assert.Single(answer.GetProperty("choices").EnumerateArray());
        string[] content = choice.GetProperty("message").GetProperty("content").GetString()!.Split(':');
        Assert.Equal("reward", content[0]);
        mini.IsScoreOf(A, Api.Json(content[1]));
        Reward reward = mini.Model.Score(A.Ids);
        JsonElement[] scores = [.. choice.GetProperty("logprobs").GetProperty("content").EnumerateArray()];
        Assert.Equal(["reward", .. mini.Model.AttributeNames], scores.Select(s => s.GetProperty("token").GetString()));
        Assert.Equal([reward.Score, .. Enumerable.Range(0, reward.Attributes).Select(reward.AttributeScore)], scores.Select(s => s.GetProperty("logprob").GetSingle()));
        Assert.Equal(("chat.completion", "stop", A.Ids.Length), (answer.GetProperty("object").GetString(), choice.GetProperty("finish_reason").GetString(), answer.GetProperty("usage").GetProperty("total_tokens").GetInt32()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("invocations")]
    public async Task One_endpoint_takes_the_requests_of_all(string path)
    {
        await using Api api = await Api.StartAsync(mini);
        mini.IsScoreOf(A, (await api.PostAsync(path, new { inputs = new[] { A.Prompt, A.Response }, raw_scores = true })).Ok[0].GetProperty("score"));
        mini.IsScoreOf(A, (await api.PostAsync(path, new { query = A.Prompt, texts = new[] { A.Response }, raw_scores = true })).Ok[0].GetProperty("score"));
        mini.IsScoreOf(A, (await api.PostAsync(path, new { query = A.Prompt, documents = new[] { A.Response } })).Ok.GetProperty("results")[0].GetProperty("relevance_score"));
        mini.IsScoreOf(A, (await api.PostAsync(path, new { text_1 = A.Prompt, text_2 = A.Response })).Ok.GetProperty("data")[0].GetProperty("score"));
        mini.IsScoreOf(A, (await api.PostAsync(path, new { input = A.Text })).Ok.GetProperty("data")[0].GetProperty("probs")[0]);
        mini.IsScoreOf(A, (await api.PostAsync(path, new { messages = Messages })).Ok.GetProperty("data")[0].GetProperty("probs")[0]);
        mini.IsScoreOf(A, (await api.PostAsync(path, new { prompt = A.Prompt, response = A.Response })).Ok.GetProperty("score"));
        // Errors have the format of the endpoint that is meant.
        Reply tei = await api.PostAsync(path, new { inputs = 3 });
        Assert.Equal((422, "Tokenizer"), (tei.Status, tei.Json.GetProperty("error_type").GetString()));
    }

    [Fact]
    public async Task A_side_of_truncation_is_what_the_client_asks_for()
    {
        await using Api api = await Api.StartAsync(mini);
        string words = string.Concat(Enumerable.Range(0, 5000).Select(i => $"w{i} "));
        int[] ids = mini.Model.EncodeTemplated(words).Ids;
        int max = mini.Model.MaxTokens;
        Assert.True(ids.Length > max);
        float first = mini.Model.Score(ids[..max]).Score, last = mini.Model.Score(ids[^max..]).Score;
        async Task<float> Vllm(string side) => (await api.PostAsync("classify", new { input = words, truncate_prompt_tokens = -1, truncation_side = side })).Ok.GetProperty("data")[0].GetProperty("probs")[0].GetSingle();
        async Task<float> Tei(string side) => (await api.PostAsync("predict", new { inputs = words, truncate = true, truncation_direction = side, raw_scores = true })).Ok[0].GetProperty("score").GetSingle();
        Assert.Equal([last, first, last, first], new[] { await Vllm("left"), await Vllm("right"), await Tei("Left"), await Tei("Right") });
        Assert.Equal(400, (await api.PostAsync("classify", new { input = words, truncation_side = "middle" })).Status);
    }

    [Fact]
    public async Task More_than_a_thousand_texts_are_one_request()
    {
        Reward reward = mini.Model.Score([2, 3]);
        await using Api api = await Api.StartAsync(mini, (texts, _) => [.. texts.Select((t, i) => new LdlVk.ScoreResult(i, reward, null))]);
        JsonElement data = (await api.PostAsync("get_reward", new { query = Enumerable.Repeat("a", 3000) })).Ok.GetProperty("rewards");
        Assert.Equal(3000, data.GetArrayLength());
    }

    [Fact]
    public async Task Texts_are_shown_as_the_model_reads_them()
    {
        await using Api api = await Api.StartAsync(mini);
        JsonElement data = (await api.PostAsync("render", new { ids = true, items = new object[] { new { messages = Messages }, new { text = A.Text.TrimEnd('\n') }, new { prompt = "a" }, new { input_ids = A.Ids } } })).Ok.GetProperty("data");
        Assert.Equal([A.Text, A.Text], new[] { data[0], data[1] }.Select(d => d.GetProperty("text").GetString()));
        Assert.Equal(A.Ids, data[0].GetProperty("ids").EnumerateArray().Select(i => i.GetInt32()));
        Assert.Equal(A.Ids.Length - 1, data[0].GetProperty("position").GetInt32());
        Assert.Contains("not enough", data[2].GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.False(data[3].TryGetProperty("text", out _));
        Assert.False((await api.PostAsync("render", new { prompt = "a", response = "b" })).Ok.GetProperty("data")[0].TryGetProperty("ids", out _));
    }
}
