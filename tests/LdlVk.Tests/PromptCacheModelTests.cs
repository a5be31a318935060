using LdlVk.Cpu;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>The prompt cache behind the public API: lost devices, want of memory, callers side by side and callers who leave.</summary>
public sealed class PromptCacheModelTests
{
    private static readonly string Folder = Goldens.Read("b_bf16_sharded").Folder, Mini = Repository.Path("models", "ldl-mini");

    /// <summary>Answers to three prompts, one after another and in turn. All begin with the same three tokens, as a template's texts do.</summary>
    private static readonly TokenizedText[] Texts =
    [
        .. from answer in Enumerable.Range(0, 5)
           from prompt in Enumerable.Range(0, 3)
           select new TokenizedText([2, 106, 7, .. Enumerable.Range(2, 27).Select(i => 2 + (i * (prompt + 3) % 190)), 7 + answer, 20 + prompt, 5]),
    ];

    [Theory]
    [InlineData(DeviceFailure.Lost)]
    [InlineData(DeviceFailure.OutOfMemory)]
    public void A_failure_with_a_warm_cache_changes_no_score(DeviceFailure failure)
    {
        float[] want = Alone();
        int call = 0, failures = 0;
        for (; ; call += 149)
        {
            List<FailingDevice> devices = [];
            using RewardModel model = RewardModel.Load(Folder, _ => Opened(devices), Options());
            for (int i = 0; i < 6; i++) Assert.Equal(want[i], Score(model, i));
            Assert.True(model.PromptCache.Stored > 0);
            devices[0].Arm(call, failure);
            for (int i = 6; i < Texts.Length; i++) Assert.Equal(want[i], Score(model, i));
            if (!devices[0].HasFailed) break;
            failures++;
            for (int i = 0; i < Texts.Length; i++) Assert.Equal(want[i], Score(model, i));
        }

        Assert.InRange(failures, 4, 1000);
    }

    [Fact]
    public void A_device_without_memory_for_the_cache_scores_without_it()
    {
        List<FailingDevice> devices = [];
        using RewardModel model = RewardModel.Load(Folder, _ => Opened(devices), Options());
        // A text has 33 rows, and a block has two for each of its 30 tokens.
        devices[0].MostRows = 40;
        float[] want = Alone();
        for (int i = 0; i < Texts.Length; i++) Assert.Equal(want[i], Score(model, i));
        Assert.Equal(0, model.PromptCache.Taken);
    }

    /// <summary>Callers side by side, of whom some leave in the middle, with a cache that is too small for all prompts.</summary>
    [Fact]
    public async Task Callers_side_by_side_get_their_own_bits()
    {
        float[] want = Alone();
        using RewardModel model = RewardModel.Load(Folder, Options() with { PromptCache = CacheBytes(Folder) });
        int scored = 0;
        await Task.WhenAll(Enumerable.Range(0, 4).Select(caller => Task.Run(() =>
        {
            var random = new Random(caller);
            for (int round = 0; round < 40; round++)
            {
                int[] numbers = [.. Enumerable.Range(0, random.Next(1, 6)).Select(_ => random.Next(Texts.Length))];
                using var leaving = new CancellationTokenSource();
                if (random.Next(4) == 0) leaving.CancelAfter(random.Next(3));
                try
                {
                    ScoreResult[] results = model.ScoreTogether([.. numbers.Select(i => Texts[i])], leaving.Token);
                    Assert.Equal(numbers.Select(i => want[i]), results.Select(r => r.Value.Score));
                    Interlocked.Add(ref scored, results.Length);
                }
                catch (OperationCanceledException)
                {
                }
            }
        })));
        Assert.True(scored > 100 && model.PromptCache.Taken > 100, $"{scored} scored, {model.PromptCache}");
    }

    [Fact]
    public void Answers_that_come_one_by_one_are_computed_behind_their_prompt()
    {
        using RewardModel model = RewardModel.Load(Folder, Options());
        int[] cached = [.. Texts.Select(text => model.ScoreTogether([text])[0].Value.CachedTokens)];
        // The prompt is met, met again and kept, and there from then on.
        Assert.Equal([.. Enumerable.Repeat(0, 6), .. Enumerable.Repeat(30, 9)], cached);
        Assert.Equal(9 * 30, model.PromptCache.Taken);
        Assert.True(model.PromptCache.Bytes > 0);
        using RewardModel without = RewardModel.Load(Folder, Options() with { PromptCache = 0 });
        foreach (TokenizedText text in Texts) Assert.Equal(0, without.ScoreTogether([text])[0].Value.CachedTokens);
        Assert.Equal(default, without.PromptCache);
    }

    /// <summary>The template says where the answer begins; so does its text among ids.</summary>
    [Fact]
    public void A_prompt_is_kept_when_it_is_met_first()
    {
        using RewardModel model = RewardModel.Load(Mini, Options());
        TokenizedText[] texts =
        [
            .. from answer in (string[])["Paris.", "It is Lyon.", "I do not know, sorry."]
               from city in (string[])["the capital of France", "a large town in the south of the same country"]
               select model.Encode(new Conversation($"Which city is {city}, and what is it known for besides that?", answer)),
        ];
        int[] cached = [.. texts.Select(text => model.ScoreTogether([text])[0].Value.CachedTokens)];
        int[] prompts = [.. texts[..2].Select((text, i) => text.Ids.AsSpan().CommonPrefixLength(texts[i + 2].Ids))];
        Assert.All(prompts, prompt => Assert.InRange(prompt, 20, 60));
        Assert.Equal(0, cached[0]);
        Assert.Equal([.. prompts, .. prompts], cached[2..]);
        // Only prompts are kept, their common beginning once.
        Assert.InRange(model.PromptCache.Stored, prompts.Max() + 1, prompts.Sum());
        using RewardModel without = RewardModel.Load(Mini, Options() with { PromptCache = 0 });
        foreach (TokenizedText text in texts)
            Assert.Equal(without.ScoreTogether([text])[0].Value.Score, model.ScoreTogether([text])[0].Value.Score);
    }

    /// <summary>A hundred requests of their own are no loss to prompts that are used.</summary>
    [Fact]
    public void Prompts_that_come_once_leave_those_that_come_again()
    {
        using RewardModel model = RewardModel.Load(Mini, Options() with { PromptCache = CacheBytes(Mini) });
        TokenizedText Text(string prompt, int answer) =>
            model.Encode(new Conversation($"{prompt} is the question here, and there are more words to make it long enough.", $"No {answer}."));
        int Cached(string prompt, int answer) => model.ScoreTogether([Text(prompt, answer)])[0].Value.CachedTokens;
        Cached("Who", 0);
        int prompt = Cached("Who", 1);
        Assert.InRange(prompt, 20, 60);
        for (int i = 0; i < 100; i++) Cached($"{i * 7919} or {i}", i);
        Assert.InRange(Cached("Who", 2), prompt, prompt + 2);
        Assert.True(model.PromptCache.Evicted > 256, $"{model.PromptCache}");
    }

    /// <summary>Prompts that come together share the template's beginning, which is too short to be taken.</summary>
    [Fact]
    public void Prompts_that_come_together_are_kept_behind_their_short_beginning()
    {
        using RewardModel model = RewardModel.Load(Folder, Options() with { BatchTokens = 256 });
        int[][] cached = [.. Texts.Chunk(3).Select(texts => (int[])[.. model.ScoreTogether(texts).Select(r => r.Value.CachedTokens)])];
        Assert.All(cached[..2], round => Assert.Equal([0, 0, 0], round));
        Assert.All(cached[2..], round => Assert.Equal([30, 30, 30], round));
    }

    /// <summary>The first batch is computed in two modes; neither sees what the other leaves.</summary>
    [Fact]
    public void The_error_of_a_mode_is_measured_without_the_cache()
    {
        RewardModelOptions options = Options() with { Weights = WeightFormat.Int8, Compute = ComputeMode.Int8, MeasureComputeError = true };
        using RewardModel model = RewardModel.Load(Folder, options), without = RewardModel.Load(Folder, options with { PromptCache = 0 });
        foreach (TokenizedText text in Texts) Assert.Equal(without.ScoreTogether([text])[0].Value, model.ScoreTogether([text])[0].Value);
        Assert.Equal(without.ComputeError, model.ComputeError);
        Assert.True(model.PromptCache.Taken > 0);
    }

    [Fact]
    public void A_cache_that_holds_no_prompt_is_refused()
    {
        UsageException e = Assert.Throws<UsageException>(() => RewardModel.Load(Folder, Options() with { PromptCache = 1000 }));
        Assert.Contains("PromptCache", e.Message);
        Assert.Contains("less than a prompt", e.Message);
        Assert.Throws<UsageException>(() => RewardModel.Load(Folder, Options() with { PromptCache = -1 }));
    }

    /// <summary>Room for 256 tokens, the smallest cache: 8 prompts.</summary>
    private static long CacheBytes(string folder)
    {
        ExecutionPlan plan = RewardModel.MakePlan(folder, Options());
        return 256 * (plan.Stages[0].CacheBytes / plan.CacheTokens);
    }

    private static RewardModelOptions Options() => new() { Device = "cpu", BatchTokens = 64, Weights = WeightFormat.Fp16 };

    private static float[] Alone()
    {
        using RewardModel model = RewardModel.Load(Folder, Options() with { PromptCache = 0 });
        return [.. Texts.Select(text => model.ScoreTogether([text])[0].Value.Score)];
    }

    private static float Score(RewardModel model, int text) => model.ScoreTogether([Texts[text]])[0].Value.Score;

    private static FailingDevice Opened(List<FailingDevice> devices)
    {
        devices.Add(new FailingDevice(CpuBackend.Open(CpuBackend.DeviceId)));
        return devices[^1];
    }
}
