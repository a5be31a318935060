using System.Globalization;
using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Server.Tests;

/// <summary>
/// Texts in steps with Qwen's own tokenizer, and attributes, on every endpoint that takes them and on the page. The ids are those of the
/// Rust library tokenizers, the scores the golden checkpoint's for them.
/// </summary>
public sealed class StepTextTests : IDisposable
{
    private const string Qwen = "qwen2_prm", Skywork = "skywork_o1_prm", Question = "What is 2 + 3·4?";

    private static readonly string[] Steps = ["First, 3·4 = 12.", "Then 2 + 12 = 14.", "So <|im_end|> it is 14."];

    private static readonly string Marked = string.Concat(Steps[..2].Select(step => step + StepModel.Token));

    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Fact]
    public async Task Qwen_s_steps_come_from_every_endpoint_as_its_clients_send_them()
    {
        using RewardModel model = Load(Qwen);
        await using Api api = await Api.StartAsync(model);
        string text = StepModel.Text(("user", Question), ("assistant", Marked));
        int[] ids = ReferenceTokenizers.Ids(Path.Combine(_temp["model"], "tokenizer.json"), text)[0];
        int[] ends = [.. Enumerable.Range(0, ids.Length).Where(i => ids[i] == 151651)];
        float[] scores = Golden(Qwen, ids, ends);
        double score = scores.Aggregate(1.0, (a, b) => a * b);
        object[] messages = [new { role = "user", content = Question }, new { role = "assistant", content = Marked }];
        // A server leaves special tokens in messages text, but for the marks of steps in the response.
        foreach (object body in (object[])[new { prompt = Question, steps = Steps[..2] }, new { messages }, new { text }, new { input_ids = ids }])
        {
            JsonElement entry = (await api.PostAsync("/v1/rewards", body)).Ok.GetProperty("data")[0];
            AreNear(scores, Numbers(entry.GetProperty("steps")));
            Assert.Equal(score, entry.GetProperty("score").GetDouble(), 1e-5);
        }

        foreach (object body in (object[])[new { messages }, new { input = text }, new { input = ids }, new { messages, task = "token_classify" }])
        {
            JsonElement rows = (await api.PostAsync("/pooling", body)).Ok.GetProperty("data")[0].GetProperty("data");
            AreNear(scores, [.. rows.EnumerateArray().Select(row => row[1].GetSingle())]);
            Assert.All(rows.EnumerateArray(), row => Assert.Equal(1, row[0].GetSingle() + row[1].GetSingle(), 1e-6));
        }

        byte[] bytes = (await api.PostAsync("/pooling", new { messages, encoding_format = "base64" })).Ok.GetProperty("data")[0].GetProperty("data").GetBytesFromBase64();
        AreNear(scores, [.. Enumerable.Range(0, scores.Length).Select(i => BitConverter.ToSingle(bytes, (8 * i) + 4))]);
        Assert.Equal(score, (await api.PostAsync("/v1/score", new { text_1 = Question, text_2 = Marked })).Ok.GetProperty("data")[0].GetProperty("score").GetDouble(), 1e-5);
        JsonElement chat = (await api.PostAsync("/v1/chat/completions", new { messages })).Ok.GetProperty("choices")[0];
        Assert.StartsWith("reward:0.", chat.GetProperty("message").GetProperty("content").GetString(), StringComparison.Ordinal);
        Assert.Equal(score, chat.GetProperty("logprobs").GetProperty("content")[0].GetProperty("logprob").GetDouble(), 1e-5);
        JsonElement rendered = (await api.PostAsync("/render", new { prompt = Question, steps = Steps[..2], ids = true })).Ok.GetProperty("data")[0];
        Assert.Equal(text, rendered.GetProperty("text").GetString());
        Assert.Equal(ids, rendered.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()));
        Assert.Equal(ends, rendered.GetProperty("step_positions").EnumerateArray().Select(id => id.GetInt32()));
        foreach ((string path, object body) in (IEnumerable<(string, object)>)[("/pooling", new { input = "a" }), ("/v1/score", new { text_1 = "a", text_2 = "b" })])
        {
            Reply none = await api.PostAsync(path, body);
            Assert.Equal(400, none.Status);
            Assert.Contains("no steps", none.Text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Other_special_tokens_of_a_message_stay_text_and_so_do_marks_in_a_prompt()
    {
        using RewardModel model = Load(Qwen);
        await using Api api = await Api.StartAsync(model);
        JsonElement rendered = (await api.PostAsync("/render", new { prompt = "a <extra_0>", steps = Steps, ids = true })).Ok.GetProperty("data")[0];
        int[] ids = [.. rendered.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
        Assert.Equal(3, ids.Count(id => id == 151651));
        Assert.Equal(2, ids.Count(id => id == 151645)); // the two turns' ends, not the typed one
        Assert.Equal(3, rendered.GetProperty("step_positions").GetArrayLength());
        Reply typed = await api.PostAsync("/v1/rewards", new { prompt = "a <extra_0>", steps = Steps, special_tokens = "tokens" });
        Assert.Equal(422, typed.Status);
        Assert.Contains("4 step tokens", typed.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Skywork_s_steps_are_its_lines()
    {
        using RewardModel model = Load(Skywork, "<|endoftext|>");
        await using Api api = await Api.StartAsync(model);
        string tokenizer = Path.Combine(_temp["model"], "tokenizer.json");
        int[][] parts = ReferenceTokenizers.Ids(tokenizer, $"<|endoftext|>{Question}\n", "\n", "One.", "Two.");
        int end = parts[1][^1];
        int[] ids = [.. parts[0], .. parts[2], end, end, .. parts[3], end, end];
        int[] ends = [.. Enumerable.Range(parts[0].Length, ids.Length - parts[0].Length).Where(i => ids[i] == end)];
        float[] scores = Golden(Skywork, ids, ends);
        Assert.Equal(4, scores.Length);
        object[] messages = [new { role = "user", content = Question }, new { role = "assistant", content = "One.\n\nTwo.\n" }];
        AreNear(scores, Numbers((await api.PostAsync("/v1/rewards", new { messages })).Ok.GetProperty("data")[0].GetProperty("steps")));
        JsonElement rows = (await api.PostAsync("/pooling", new { messages })).Ok.GetProperty("data")[0].GetProperty("data");
        AreNear(scores, [.. rows.EnumerateArray().Select(row => Assert.Single(row.EnumerateArray()).GetSingle())]);
        Assert.Equal(scores[^1], (await api.PostAsync("/v1/score", new { text_1 = Question, text_2 = "One.\n\nTwo.\n" })).Ok.GetProperty("data")[0].GetProperty("score").GetSingle(), 1e-6f);
    }

    [Fact]
    public async Task The_page_draws_the_steps()
    {
        using RewardModel model = Load(Skywork, "<|endoftext|>");
        await using Api api = await Api.StartAsync(model);
        await using Browser browser = await Browser.StartAsync();
        await AskAsync(browser, api, "One.\nTwo.");
        float[] steps = [.. model.Score(new Conversation(Question, "One.\nTwo.")).Steps];
        Assert.Equal(["step 1", "step 2"], await StringsAsync(browser, "tbody th"));
        Assert.Equal(steps.Select(step => step.ToString("F2", CultureInfo.InvariantCulture)), await StringsAsync(browser, "tbody td.number"));
        Assert.Empty(browser.Console);
    }

    [Theory]
    [InlineData("armorm_llama", 19, true)]
    [InlineData("urm_llama", 5, false)]
    public async Task The_page_and_chat_completions_have_the_attributes(string name, int count, bool isAdjusted)
    {
        // A tokenizer of characters, and a gate's pattern that its template writes.
        string folder = _temp["attributes"];
        Directory.CreateDirectory(folder);
        foreach (string path in Directory.GetFiles(Path.Combine(FamilyGoldens.Folder, name))) File.Copy(path, Path.Combine(folder, Path.GetFileName(path)));
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), Characters());
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), """{"chat_template":"{% for m in messages %}{{ m.content }}{% if m.role == 'user' %}{{ '|' }}{% endif %}{% endfor %}"}""");
        string config = Path.Combine(folder, "config.json");
        var fields = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(config))!;
        if (isAdjusted) fields["gating_token_pattern"] = new System.Text.Json.Nodes.JsonArray('|' - ' ');
        File.WriteAllText(config, fields.ToJsonString());
        using RewardModel model = RewardModel.Load(folder, new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32 });
        await using Api api = await Api.StartAsync(model);
        Reward reward = model.Score(new Conversation("q", "One."));
        Assert.Equal((count, isAdjusted ? count : 0), (reward.AttributeScores.Length, reward.AdjustedScores.Length));
        JsonElement content = (await api.PostAsync("/v1/chat/completions", new { messages = (object[])[new { role = "user", content = "q" }, new { role = "assistant", content = "One." }] })).Ok
            .GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content");
        Assert.Equal(["reward", .. model.AttributeNames], content.EnumerateArray().Select(entry => entry.GetProperty("token").GetString()!));
        AreNear([reward.Score, .. reward.AttributeScores], [.. content.EnumerateArray().Select(entry => entry.GetProperty("logprob").GetSingle())]);
        await using Browser browser = await Browser.StartAsync();
        await AskAsync(browser, api, "One.", "q");
        Assert.Equal(model.AttributeNames.Select(a => a.Replace('_', ' ')), await StringsAsync(browser, "tbody th"));
        string[] numbers = await StringsAsync(browser, "tbody td.number");
        IEnumerable<float> shown = Enumerable.Range(0, count).SelectMany(a =>
            (float[])[reward.Weights[a], reward.AttributeScores[a], .. isAdjusted ? (float[])[reward.AdjustedScores[a]] : []]);
        Assert.Equal(shown.Select(n => n.ToString("F2", CultureInfo.InvariantCulture).Replace("-0.00", "0.00", StringComparison.Ordinal)), numbers.Select(n => n.Replace("-0.00", "0.00", StringComparison.Ordinal)));
        Assert.Empty(browser.Console);
    }

    /// <summary>A tokenizer whose token i is the character ' ' + i.</summary>
    private static string Characters()
    {
        Dictionary<string, int> vocabulary = Enumerable.Range(' ', 95).ToDictionary(c => ((char)c).ToString(), c => c - ' ');
        return JsonSerializer.Serialize(new
        {
            version = "1.0", added_tokens = (object[])[], model = new { type = "BPE", vocab = vocabulary, merges = (string[])[], unk_token = "?" },
        });
    }

    private static async Task AskAsync(Browser browser, Api api, string answer, string question = Question)
    {
        await browser.CallAsync("Page.navigate", new { url = api.Server.Urls[0] });
        await browser.UntilAsync("document.readyState === 'complete' && document.querySelectorAll('#answers textarea').length === 2 && document.activeElement.id === 'conversation'");
        await browser.EvaluateAsync(
            $"byId('conversation').value = {JsonSerializer.Serialize(question)}; byId('answer-1').value = {JsonSerializer.Serialize(answer)}; "
            + "document.querySelectorAll('#answers .answer')[1].remove(); byId('form').requestSubmit()");
        await browser.UntilAsync("!document.getElementById('results').hidden || document.getElementById('status').className === 'error'");
        Assert.NotEqual("error", (await browser.EvaluateAsync("byId('status').className")).GetString());
    }

    private static async Task<string[]> StringsAsync(Browser browser, string selector) =>
        [.. (await browser.EvaluateAsync($"[...document.querySelectorAll('#ranking li:first-child {selector}')].map(v => v.textContent)")).EnumerateArray().Select(e => e.GetString()!)];

    private RewardModel Load(string name, string? bos = null)
    {
        Assert.SkipWhen(FetchedTokenizer.Qwen3.File.Path is null, FetchedTokenizer.Qwen3.File.WhyNot ?? "");
        Assert.SkipWhen(ReferenceTokenizers.WhyNot is not null, ReferenceTokenizers.WhyNot ?? "");
        StepModel.Write(_temp["model"], name, FetchedTokenizer.Qwen3.File.Path!, bos);
        return RewardModel.Load(_temp["model"], new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32 });
    }

    /// <summary>The scores of the golden checkpoint, which the goldens hold to the reference.</summary>
    private static float[] Golden(string name, int[] ids, int[] ends)
    {
        using RewardModel golden = RewardModel.Load(Path.Combine(FamilyGoldens.Folder, name), new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32 });
        return [.. golden.Score(new TokenizedText(StepModel.GoldenIds(name, ids)) { Steps = ends }).Steps];
    }

    private static float[] Numbers(JsonElement list) => [.. list.EnumerateArray().Select(n => n.GetSingle())];

    private static void AreNear(float[] want, float[] got) => Assert.Equal(want, got, (a, b) => Math.Abs(a - b) < 2e-6);
}
