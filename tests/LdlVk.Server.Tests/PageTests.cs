using System.Text.Json;

namespace LdlVk.Server.Tests;

/// <summary>The page at <c>/</c>, used with the keyboard in a real browser.</summary>
public class PageTests(Mini mini)
{
    private const string Prompt = "What does the word \"lighthouse\" mean?";

    private static readonly string[] Answers =
        ["I cannot help with that.", "The noun \"lighthouse\" means: a tower with a light that gives warning of shoals to passing ships."];

    [Fact]
    public async Task With_the_keyboard_alone_answers_are_scored_and_drawn()
    {
        await using Api api = await Api.StartAsync(mini);
        await using Browser browser = await Browser.StartAsync();
        await OpenAsync(browser, api);
        await browser.TypeAsync(Prompt);
        await TabToAsync(browser, "answer-1");
        await browser.TypeAsync(Answers[0]);
        await TabToAsync(browser, "answer-2");
        await browser.TypeAsync(Answers[1]);
        await browser.PressAsync("Enter", 13, modifiers: 2);
        await browser.UntilAsync("!document.getElementById('results').hidden");

        float[] alone = [.. Answers.Select(a => mini.Model.Score(new Conversation(Prompt, a)).Score)];
        string[] values = await StringsAsync(browser, "[...document.querySelectorAll('#ranking .value')].map(v => v.textContent)");
        Assert.Equal(alone.OrderDescending().Select(s => s.ToString("F2", System.Globalization.CultureInfo.InvariantCulture)), values);
        Assert.StartsWith("Answer 2: The noun", (await StringsAsync(browser, "[...document.querySelectorAll('#ranking .words')].map(v => v.textContent)"))[0], StringComparison.Ordinal);
        // The distribution has a bar a bin, and there is a sub-score of each attribute by its name.
        Assert.Equal(10, (await browser.EvaluateAsync("document.querySelectorAll('#ranking li:first-child [role=img] rect').length")).GetInt32());
        Assert.Equal(mini.Model.AttributeNames.Select(n => n.Replace('_', ' ')), await StringsAsync(browser, "[...document.querySelectorAll('#ranking li:first-child tbody th')].map(v => v.textContent)"));
        var best = mini.Model.Score(new Conversation(Prompt, Answers[1]));
        string[] numbers = await StringsAsync(browser, "[...document.querySelectorAll('#ranking li:first-child tbody td.number')].map(v => v.textContent)");
        for (int a = 0; a < 22; a++)
        {
            Assert.Equal(best.Weights[a], float.Parse(numbers[2 * a], System.Globalization.CultureInfo.InvariantCulture), 0.0051f);
            Assert.Equal(best.AttributeScore(a), float.Parse(numbers[(2 * a) + 1], System.Globalization.CultureInfo.InvariantCulture), 0.0051f);
        }

        await browser.UntilAsync("document.activeElement.id === 'results-heading'");
        await browser.PictureAsync("light");
        await browser.CallAsync("Emulation.setEmulatedMedia", new { features = new[] { new { name = "prefers-color-scheme", value = "dark" } } });
        await browser.PictureAsync("dark");
        await browser.CallAsync("Emulation.setDeviceMetricsOverride", new { width = 380, height = 800, deviceScaleFactor = 1, mobile = true });
        Assert.True((await browser.EvaluateAsync("document.documentElement.scrollWidth <= innerWidth")).GetBoolean(), "It is too wide for a telephone.");
        await browser.PictureAsync("narrow");
        Assert.Empty(browser.Console); // a blocked script or style would be told there
    }

    [Fact]
    public async Task Of_a_model_of_a_score_alone_the_ranking_is_drawn()
    {
        using ScoreAlone alone = new();
        await using Api api = await alone.StartAsync();
        await using Browser browser = await Browser.StartAsync();
        await OpenAsync(browser, api);
        await browser.TypeAsync(Prompt);
        await TabToAsync(browser, "answer-1");
        await browser.TypeAsync(Answers[0]);
        await browser.PressAsync("Enter", 13, modifiers: 2);
        await browser.UntilAsync("!document.getElementById('results').hidden");
        float[] scores = [.. ((string[])[Answers[0], ""]).Select(a => alone.Model.Score(new Conversation(Prompt, a)).Score)];
        Assert.Equal(scores.OrderDescending().Select(s => s.ToString("F2", System.Globalization.CultureInfo.InvariantCulture)), await StringsAsync(browser, "[...document.querySelectorAll('#ranking .value')].map(v => v.textContent)"));
        Assert.EndsWith(" tokens.", (await StringsAsync(browser, "[...document.querySelectorAll('#ranking .hint')].map(v => v.textContent)"))[0], StringComparison.Ordinal);
        Assert.Equal(0, (await browser.EvaluateAsync("document.querySelectorAll('#ranking table, #ranking [role=img]').length")).GetInt32());
        Assert.Empty(browser.Console);
    }

    [Fact]
    public async Task What_an_answer_says_stays_text()
    {
        await using Api api = await Api.StartAsync(mini);
        await using Browser browser = await Browser.StartAsync();
        await OpenAsync(browser, api);
        const string evil = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>";
        await browser.TypeAsync(evil);
        await TabToAsync(browser, "answer-1");
        await browser.TypeAsync(evil);
        await browser.PressAsync("Enter", 13, modifiers: 2);
        await browser.UntilAsync("!document.getElementById('results').hidden");
        Assert.Equal(0, (await browser.EvaluateAsync("document.querySelectorAll('#ranking img, #ranking script').length")).GetInt32());
        Assert.DoesNotContain("owned", (await browser.EvaluateAsync("document.title")).GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_is_asked_for_where_one_is_needed_and_errors_are_shown()
    {
        await using Api api = await Api.StartAsync(mini, Api.Options with { ApiKey = "a-long-secret" });
        await using Browser browser = await Browser.StartAsync();
        await OpenAsync(browser, api, focused: "key");
        await browser.TypeAsync("a-long-secret");
        await browser.EvaluateAsync("document.getElementById('conversation').focus()");
        await browser.TypeAsync("[{\"role\":\"system\",\"content\":\"x\"}]");
        await browser.PressAsync("Enter", 13, modifiers: 2);
        await browser.UntilAsync("document.getElementById('status').className === 'error' && document.getElementById('status').textContent.includes('no system role')");
    }

    [Fact]
    public async Task After_an_error_there_is_no_old_ranking_and_the_reason_is_in_plain_words()
    {
        Api api = await Api.StartAsync(mini, Api.Options with { ApiKey = "a-long-secret" });
        await using Browser browser = await Browser.StartAsync();
        await OpenAsync(browser, api, focused: "key");
        await ScoreAsync("a", "wrong-secret");
        await UntilSaidAsync("The API key is wrong");
        await ScoreAsync("a", "a-long-secret");
        await browser.UntilAsync("!document.getElementById('results').hidden");
        await ScoreAsync("[{\"role\": \"user\", \"content\": \"a\"", "a-long-secret");
        await UntilSaidAsync("not valid JSON");
        await HasNoRankingAsync();
        await ScoreAsync("a", "a-long-secret");
        await browser.UntilAsync("!document.getElementById('results').hidden");
        await api.DisposeAsync();
        await ScoreAsync("b", "a-long-secret");
        await UntilSaidAsync("does not answer. Is it still running");
        await HasNoRankingAsync();

        Task<JsonElement> ScoreAsync(string conversation, string key) => browser.EvaluateAsync(
            $"byId('key').value = {JsonSerializer.Serialize(key)}; byId('conversation').value = {JsonSerializer.Serialize(conversation)}; "
            + "byId('form').requestSubmit()");
        Task UntilSaidAsync(string words) => browser.UntilAsync($"byId('status').className === 'error' && byId('status').textContent.includes({JsonSerializer.Serialize(words)})");
        async Task HasNoRankingAsync() => Assert.True((await browser.EvaluateAsync("byId('results').hidden && byId('ranking').children.length === 0")).GetBoolean());
    }

    [Fact]
    public async Task Turns_two_answers_side_by_side_and_the_text_of_the_model_are_shown()
    {
        await using Api api = await Api.StartAsync(mini);
        await using Browser browser = await Browser.StartAsync();
        await OpenAsync(browser, api);
        // Pasted JSON becomes turns when the field is left.
        await browser.TypeAsync("[{\"role\":\"user\",\"content\":\"Hi.\"},{\"role\":\"assistant\",\"content\":\"Hello.\"},{\"role\":\"user\",\"content\":\"What is a sea?\"}]");
        await TabToAsync(browser, "answer-1");
        await browser.TypeAsync("A large body of salt water.");
        await TabToAsync(browser, "answer-2");
        await browser.TypeAsync("A small body of fresh water.");
        Assert.Equal(["Hi.", "Hello."], await StringsAsync(browser, "[...document.querySelectorAll('#turns textarea')].map(t => t.value)"));
        Assert.Equal("What is a sea?", (await browser.EvaluateAsync("byId('conversation').value")).GetString());
        await browser.PressAsync("Enter", 13, modifiers: 2);
        await browser.UntilAsync("!document.getElementById('results').hidden");
        Message[] before = [new("user", "Hi."), new("assistant", "Hello."), new("user", "What is a sea?")];
        Conversation[] both = [new([.. before, new("assistant", "A large body of salt water.")]), new([.. before, new("assistant", "A small body of fresh water.")])];
        float[] scores = [.. both.Select(c => mini.Model.Score(c).Score)];
        Assert.Equal(scores.OrderDescending().Select(s => s.ToString("F2", System.Globalization.CultureInfo.InvariantCulture)), await StringsAsync(browser, "[...document.querySelectorAll('#ranking .value')].map(v => v.textContent)"));
        await browser.EvaluateAsync("byId('compare').open = true; document.querySelector('.shown').open = true");
        Assert.Equal(["large ", "salt ", "small ", "fresh "], (await StringsAsync(browser, "[...document.querySelectorAll('#sides mark')].map(m => m.textContent)")).OrderByDescending(w => w is "large " or "salt "));
        await browser.UntilAsync("document.querySelector('.shown pre').textContent.startsWith('<bos>')");
        Assert.Equal(mini.Model.Render(both[scores[0] > scores[1] ? 0 : 1]), (await browser.EvaluateAsync("document.querySelector('.shown pre').textContent")).GetString());
        foreach (int width in (int[])[390, 1280])
        {
            await browser.CallAsync("Emulation.setDeviceMetricsOverride", new { width, height = 900, deviceScaleFactor = 1, mobile = width < 600 });
            Assert.True((await browser.EvaluateAsync("document.documentElement.scrollWidth <= innerWidth")).GetBoolean(), $"It is wider than {width} pixels.");
            await browser.PictureAsync($"page-{width}");
        }

        Assert.Empty(browser.Console);
    }

    [Fact]
    public async Task It_needs_no_other_host()
    {
        await using Api api = await Api.StartAsync(mini);
        foreach (string path in (string[])["", "page.js", "compare.js", "page.css"])
            Assert.DoesNotMatch("(?i)(https?:)?//[a-z0-9-]+\\.[a-z]", (await api.GetAsync(path)).Text.Replace("http://www.w3.org/2000/svg", "", StringComparison.Ordinal));
    }

    // The page is open once the focus is where it comes to rest: in the conversation's field, or in the key's once the server has refused.
    private static async Task OpenAsync(Browser browser, Api api, string focused = "conversation")
    {
        await browser.CallAsync("Page.navigate", new { url = api.Server.Urls[0] });
        await browser.UntilAsync($"document.readyState === 'complete' && document.querySelectorAll('#answers textarea').length === 2 && document.activeElement.id === '{focused}'");
    }

    private static async Task TabToAsync(Browser browser, string id)
    {
        for (int i = 0; i < 20; i++)
        {
            await browser.PressAsync("Tab", 9);
            if ((await browser.EvaluateAsync("document.activeElement.id")).GetString() == id) return;
        }

        Assert.Fail($"{id} is not reached with the tabulator key.");
    }

    private static async Task<string[]> StringsAsync(Browser browser, string expression) =>
        [.. (await browser.EvaluateAsync(expression)).EnumerateArray().Select((JsonElement e) => e.GetString()!)];
}
