using System.Text.Json;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>The public API with the embedded model, from texts to scores, against the reference's.</summary>
public sealed class RewardModelTests : DeviceTest
{
    private static readonly string Folder = Repository.Path("models", "ldl-mini");

    private sealed record Golden(Conversation Conversation, int[] Ids, float Score, float[] Weights);

    /// <summary>The devices that the options can name; of several software drivers the one for models.</summary>
    public static TheoryData<string> NamedDevices => [.. ComputeDevices.Enumerate().Select(d => d.Id).Where(TestDevices.ForModels.Contains)];

    [Theory]
    [MemberData(nameof(NamedDevices))]
    public async Task Conversations_get_the_references_ids_and_scores(string device)
    {
        using RewardModel model = await RewardModel.LoadAsync(Folder, new RewardModelOptions { Device = device });
        Golden[] goldens = [.. ReadGoldens()];
        Assert.Equal(20, goldens.Length);
        List<ScoreProgress> progress = [];
        int n = 0;
        await foreach (ScoreResult result in model.ScoreManyAsync(goldens.Select(g => g.Conversation), new Progress(progress)))
        {
            Golden want = goldens[n];
            Assert.Equal(n++, result.Index);
            Assert.Equal(want.Ids, model.Tokenize(want.Conversation));
            Assert.InRange(result.Value.Score, want.Score - 5e-4, want.Score + 5e-4);
            Assert.Equal(want.Ids.Length, result.Value.Tokens);
            for (int a = 0; a < want.Weights.Length; a++) Assert.InRange(result.Value.Weights[a], want.Weights[a] - 5e-4, want.Weights[a] + 5e-4);
        }

        Assert.Equal(goldens.Length, n);
        Assert.Equal(goldens.Length, progress[^1].Texts);
        Assert.Equal(goldens.Sum(g => g.Ids.Length), progress[^1].Tokens);
    }

    /// <summary>Padding is the token that ends a turn (5), or a line break (6): the token before the first one lies in the prompt.</summary>
    [Theory]
    [InlineData("0", false)]
    [InlineData("5", true)]
    [InlineData("6", true)]
    [InlineData("null", false)]
    public void A_padding_token_before_which_no_response_is_read_is_told_of(string pad, bool isTold)
    {
        using TempFolder temp = new();
        Directory.CreateDirectory(temp["model"]);
        foreach (string path in Directory.GetFiles(Folder)) File.Copy(path, Path.Combine(temp["model"], Path.GetFileName(path)));
        string config = Path.Combine(temp["model"], "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"pad_token_id\": 0", $"\"pad_token_id\": {pad}", StringComparison.Ordinal));
        using RewardModel model = RewardModel.Load(temp["model"], new RewardModelOptions { Device = "cpu" });
        float[] scores = [.. new[] { "A body of salt water.", "no" }.Select(answer => model.Score(new Conversation("Define \"sea\".", answer)).Score)];
        Assert.Equal(isTold, scores[0] == scores[1]);
        Assert.Equal(isTold, model.Note?.ToString().Contains("reads nothing of a response", StringComparison.Ordinal) == true);
    }

    [Fact]
    public void Comparison_and_ranking_follow_the_scores()
    {
        using RewardModel model = RewardModel.Load(Folder, new RewardModelOptions { Device = "cpu" });
        const string Prompt = "What is the meaning of Kolkwitzia?";
        const string Good = "Kolkwitzia: Chinese genus of 1 species: beauty bush.";
        const string Bad = "What is the meaning of Kolkwitzia? What is the meaning of Kolkwitzia?";
        // chosen_score and rejected_score of this pair in eval-permissive.jsonl.
        Comparison comparison = model.Compare(Prompt, Good, Bad);
        Assert.InRange(comparison.A.Score, 2.39377165 - 5e-4, 2.39377165 + 5e-4);
        Assert.InRange(comparison.B.Score, -10.4374771 - 5e-4, -10.4374771 + 5e-4);
        Assert.Equal(1 / (1 + Math.Exp(-12.83124875)), comparison.ProbabilityAIsBetter, 1e-6);
        Assert.Equal([1, 2, 0], model.Rank(Prompt, [Bad, Good, "Kolkwitzia is a genus of one species."]).Select(r => r.Index));
        Assert.Equal(model.Score(new Conversation(Prompt, Good)).Score, comparison.A.Score);
        Assert.Equal("relevance", model.AttributeNames[0]);
    }

    /// <summary>transformers' classifiers read the rightmost token that is not pad_token_id, which may be the token that ends a turn.</summary>
    [Fact]
    public void The_score_is_read_where_the_models_own_code_reads_it()
    {
        using TempFolder folder = new TempFolder().CopyGolden("s_skywork_bf16");
        int[] text = [2, 7, 9, 33, 9];
        using (RewardModel model = RewardModel.Load(folder.Path, new RewardModelOptions { Device = "cpu" }))
        {
            Assert.Equal(model.Score(text), model.Score([.. text, 0, 0, 0]));
            Assert.Equal(4, model.ReadPosition([.. text, 0, 0, 0]));
            Assert.NotEqual(model.Score(text).Score, model.Score(text[..4]).Score);
            Assert.Throws<InputException>(() => model.Score([.. text, 0, 4096]));
        }

        folder.Write("config.json", File.ReadAllText(folder["config.json"]).Replace("\"pad_token_id\": 0", "\"pad_token_id\": 9"));
        using RewardModel padIsEnd = RewardModel.Load(folder.Path, new RewardModelOptions { Device = "cpu" });
        Assert.Equal(padIsEnd.Score(text[..4]), padIsEnd.Score(text));
        Assert.Equal(3, padIsEnd.ReadPosition(text));
    }

    /// <summary>A file may claim any length: memory is taken for the texts that come.</summary>
    [Fact]
    public void The_table_of_angles_grows_with_the_texts()
    {
        using TempFolder folder = new TempFolder().CopyGolden("s_skywork_bf16");
        int[] text = [.. Enumerable.Range(0, 9000).Select(i => 2 + (i % 500))];
        string config = File.ReadAllText(folder["config.json"]);
        folder.Write("config.json", config.Replace("\"max_position_embeddings\": 512", "\"max_position_embeddings\": 16777216"));
        using RewardModel huge = RewardModel.Load(folder.Path, new RewardModelOptions { Device = "cpu" });
        Reward start = huge.Score(text[..100]), all = huge.Score(text);
        Assert.Equal(start, huge.Score(text[..100]));
        folder.Write("config.json", config.Replace("\"max_position_embeddings\": 512", "\"max_position_embeddings\": 9000"));
        using RewardModel exact = RewardModel.Load(folder.Path, new RewardModelOptions { Device = "cpu" });
        Assert.Equal(all, exact.Score(text));
    }

    [Fact]
    public async Task Bad_texts_get_their_errors_and_the_rest_their_scores()
    {
        using RewardModel model = RewardModel.Load(Folder, new RewardModelOptions { Device = "cpu" });
        Conversation[] texts =
        [
            new("Hello", "Hi there!"),
            new([new Message("system", "Be kind."), new Message("user", "Hi"), new Message("assistant", "Hi")]),
            new([new Message("user", "a"), new Message("user", "b")]),
            new([]),
            new("Count.", string.Concat(Enumerable.Repeat("one two three ", 4000))),
            new("Hello", "Hi there!"),
        ];
        List<ScoreResult> results = [];
        await foreach (ScoreResult result in model.ScoreManyAsync(texts)) results.Add(result);
        Assert.Equal([true, false, false, false, false, true], results.Select(r => r.Reward is not null));
        Assert.Contains("ystem", results[1].Error!.ToString());
        Assert.Contains("alternate", results[2].Error!.ToString());
        Assert.Contains("8192", results[4].Error!.ToString());
        Assert.Equal(results[0].Value.Score, results[5].Value.Score);
        Assert.Throws<InputException>(() => results[3].Value);
        Assert.Throws<InputException>(() => model.Score([1, 2, 4096]));
        Assert.Throws<InputException>(() => model.Score([-1]));
        Assert.Throws<InputException>(() => model.Score([]));

        using RewardModel truncating = RewardModel.Load(Folder, new RewardModelOptions { Device = "cpu", Truncate = true });
        Assert.Equal(truncating.MaxTokens, truncating.Score(texts[4]).Tokens);
    }

    [Fact]
    public async Task Cancellation_ends_loading_and_scoring()
    {
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => RewardModel.LoadAsync(Folder, new RewardModelOptions { Device = "cpu" }, null, cancelled.Token));
        using RewardModel model = RewardModel.Load(Folder, new RewardModelOptions { Device = "cpu", BatchTokens = 16 });
        using var source = new CancellationTokenSource();
        int done = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (ScoreResult _ in model.ScoreManyAsync(Enumerable.Repeat(new Conversation("Hello", "Hi there!"), 1000), null, source.Token))
                if (++done == 20) source.Cancel();
        });
        Assert.InRange(done, 20, 999);
    }

    [Fact]
    public async Task Callers_alternate_and_disposing_ends_them()
    {
        RewardModel model = RewardModel.Load(Folder, new RewardModelOptions { Device = "cpu", BatchTokens = 16 });
        float want = model.Score(new Conversation("Hello", "Hi there!")).Score;
        float[] scores = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => model.Score(new Conversation("Hello", "Hi there!")).Score)));
        Assert.All(scores, s => Assert.Equal(want, s));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () =>
        {
            await foreach (ScoreResult _ in model.ScoreManyAsync(Enumerable.Repeat(new Conversation("Hello", "Hi there!"), 1000))) model.Dispose();
        });
        model.Dispose();
        Assert.Throws<ObjectDisposedException>(() => model.Score([2, 3]));
    }

    [Fact]
    public async Task Failed_texts_are_not_read_ahead_without_bound()
    {
        using RewardModel model = RewardModel.Load(Folder, new RewardModelOptions { Device = "cpu", BatchTokens = 16 });
        int read = 0;
        await using IAsyncEnumerator<ScoreResult> results = model.ScoreManyAsync(Endless()).GetAsyncEnumerator();
        Assert.True(await results.MoveNextAsync());
        Assert.Equal("bad", results.Current.Error);
        Assert.InRange(read, 1, 1000);

        IEnumerable<TokenizedText> Endless()
        {
            for (; ; read++) yield return TokenizedText.Failed("bad");
        }
    }

    [Fact]
    public void Loading_reports_all_bytes()
    {
        List<LoadProgress> reports = [];
        using RewardModel model = RewardModel.Load(Folder, new RewardModelOptions { Device = "cpu" }, new LoadReports(reports));
        Assert.Equal(reports[^1].BytesTotal, reports[^1].BytesDone);
        Assert.Equal(reports.Select(r => r.BytesDone).Order(), reports.Select(r => r.BytesDone));
    }

    [Fact]
    public void Wrong_options_are_usage_errors()
    {
        Assert.Contains("vulkan:99", Assert.Throws<UsageException>(() => RewardModel.Load(Folder, new RewardModelOptions { Device = "vulkan:99" })).Message);
        Assert.Throws<UsageException>(() => RewardModel.Load(Folder, new RewardModelOptions { Device = "cpu", BatchTokens = 0 }));
        Assert.Throws<UsageException>(() => RewardModel.Load(Folder, new RewardModelOptions { Device = "cpu", ChatTemplate = "llama" }));
        Assert.Throws<CheckpointException>(() => RewardModel.Load("/no/such/folder"));
    }

    [Fact]
    public void Auto_never_picks_a_software_driver() =>
        Assert.DoesNotContain(ComputeDevices.Candidates("auto"), d => d.Kind == DeviceKind.Software);

    private static IEnumerable<Golden> ReadGoldens()
    {
        foreach (string line in File.ReadLines(Repository.Path("tests", "data", "ldl-mini", "goldens.jsonl")))
        {
            using JsonDocument json = JsonDocument.Parse(line);
            JsonElement root = json.RootElement;
            Message[] messages = [.. root.GetProperty("messages").EnumerateArray().Select(m => new Message(m.GetProperty("role").GetString()!, m.GetProperty("content").GetString()!))];
            yield return new Golden(
                new Conversation(messages),
                [.. root.GetProperty("token_ids").EnumerateArray().Select(i => i.GetInt32())],
                root.GetProperty("score").GetSingle(),
                [.. root.GetProperty("weights").EnumerateArray().Select(w => w.GetSingle())]);
        }
    }

    private sealed class Progress(List<ScoreProgress> reports) : IProgress<ScoreProgress>
    {
        public void Report(ScoreProgress value) => reports.Add(value);
    }

    private sealed class LoadReports(List<LoadProgress> reports) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => reports.Add(value);
    }
}
