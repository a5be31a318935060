using System.Collections.Concurrent;
using System.Diagnostics;
using LdlVk.Server.Scoring;
using LdlVk.Testing;

namespace LdlVk.Server.Tests;

/// <summary>The queue's doings, with a gate before the model: nothing is scored until the test says so.</summary>
public class QueueTests(Mini mini)
{
    /// <summary>Lets batches through one at a time, and tells which there were.</summary>
    private sealed class Gate(RewardModel model)
    {
        private readonly SemaphoreSlim _pass = new(0);

        public ConcurrentQueue<int> Batches { get; } = new();

        public ScoreResult[] Score(IReadOnlyList<TokenizedText> texts, CancellationToken cancellation)
        {
            Batches.Enqueue(texts.Count);
            _pass.Wait(cancellation);
            return model.ScoreTogether(texts, cancellation);
        }

        public void Open(int batches = 1000) => _pass.Release(batches);

        public void Close()
        {
            while (_pass.Wait(0)) { }
        }
    }

    private static object Body(string response) => new { prompt = "Define \"sea\".", response };

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (long begun = Stopwatch.GetTimestamp(); !condition(); await Task.Delay(2)) Assert.True(Stopwatch.GetElapsedTime(begun) < TimeSpan.FromSeconds(20), "It did not come to that.");
    }

    [Fact]
    public async Task What_comes_while_a_device_is_busy_goes_into_one_batch()
    {
        Gate gate = new(mini.Model);
        await using Api api = await Api.StartAsync(mini, gate.Score);
        Task<Reply> first = api.PostAsync("v1/rewards", Body("a"));
        await UntilAsync(() => !gate.Batches.IsEmpty);
        Task<Reply>[] others = [.. Enumerable.Range(0, 20).Select(i => api.PostAsync(i % 2 == 0 ? "v1/rewards" : "v1/compare", i % 2 == 0 ? Body($"b {i}") : new { prompt = "p", a = $"c {i}", b = "d" }))];
        await UntilAsync(() => api.Server.Waiting.Texts == 30);
        gate.Open();
        await first;
        foreach ((int i, Task<Reply> other) in others.Index().Where(o => o.Index % 2 == 0))
            Assert.Equal(mini.Model.Score(new Conversation("Define \"sea\".", $"b {i}")).Score, (await other).Ok.GetProperty("data")[0].GetProperty("score").GetSingle());
        Assert.Equal([1, 30], gate.Batches);
    }

    [Fact]
    public async Task A_whole_batch_lies_ready_behind_the_one_under_way_and_prompts_are_counted_once()
    {
        Gate gate = new(mini.Model);
        await using Api api = await Api.StartAsync(mini, gate.Score);
        string prompt = string.Concat(Enumerable.Repeat("A long prompt of many words. ", 100));
        int tokens = mini.Model.Tokenize(new Conversation(prompt, "x")).Length;
        Task<Reply> first = api.PostAsync("v1/rewards", Body("a"));
        await UntilAsync(() => !gate.Batches.IsEmpty);
        // Many times a micro-batch of tokens, but most of them are the prompt's.
        int count = 40;
        Assert.True(tokens * count > 4 * mini.Model.Plan.BatchTokens);
        Task<Reply> many = api.PostAsync("v1/rewards", new { prompt, responses = Enumerable.Range(0, count).Select(i => $"Answer {i}") });
        await UntilAsync(() => gate.Batches.Count == 2);
        gate.Open();
        Assert.Equal(200, (await first).Status);
        Assert.Equal(200, (await many).Status);
        Assert.Equal([1, count], gate.Batches);
    }

    [Fact]
    public async Task A_text_that_is_soon_scored_does_not_wait_for_company()
    {
        await using Api api = await Api.StartAsync(mini, Api.Options with { MaxWait = TimeSpan.FromSeconds(1) });
        List<TimeSpan> times = [];
        for (int i = 0; i < 10; i++)
        {
            long begun = Stopwatch.GetTimestamp();
            Assert.Equal(200, (await api.PostAsync("v1/rewards", Body($"a {i}"))).Status);
            times.Add(Stopwatch.GetElapsedTime(begun));
        }

        // If they waited for company, nobody would come, and each would take the full second. The fastest tells, on a busy machine too.
        Assert.InRange(times.Min().TotalSeconds, 0, 0.9);
    }

    [Fact]
    public async Task A_text_that_takes_long_waits_for_company_a_little()
    {
        List<int> batches = [];
        await using Api api = await Api.StartAsync(mini, (texts, cancellation) =>
        {
            batches.Add(texts.Count);
            if (batches.Count == 1) Thread.Sleep(6000);
            return mini.Model.ScoreTogether(texts, cancellation);
        }, Api.Options with { MaxWait = TimeSpan.FromSeconds(1) });
        Assert.Equal(200, (await api.PostAsync("v1/rewards", Body("a"))).Status);
        // A text takes six seconds, as far as the queue knows: 0.3 of one are worth waiting.
        Task<Reply> one = api.PostAsync("v1/rewards", Body("b")), other = api.PostAsync("v1/rewards", Body("c"));
        Assert.Equal((200, 200), ((await one).Status, (await other).Status));
        Assert.Equal([1, 2], batches);
    }

    /// <summary>Where texts together are no cheaper than alone, those behind a large batch would wait for nothing; but a prompt is computed once.</summary>
    [Theory]
    [InlineData("each token")]
    [InlineData("each batch")]
    public async Task Batches_are_as_large_as_it_pays(string what)
    {
        Gate gate = new(mini.Model);
        ManualClock clock = new();
        await using Api api = await Api.StartAsync(mini, (texts, cancellation) =>
        {
            ScoreResult[] results = gate.Score(texts, cancellation);
            clock.Now += TimeSpan.FromMilliseconds(what == "each token" ? texts.Sum(t => t.Ids.Length) : 50);
            return results;
        }, Api.Options with { Clock = clock });
        gate.Open();
        Task<Reply> Ask(params string[] texts) => api.PostAsync("get_reward", new { query = texts });
        for (int i = 0; i < 5; i++) Assert.Equal(200, (await Ask(string.Concat(Enumerable.Repeat(" sea", 10 + (i * 7 % 50))))).Status);
        string[] sixteen = [.. Enumerable.Range(0, 16).Select(i => $"{(char)('a' + i)}{string.Concat(Enumerable.Repeat(" sea", 20))}")];
        string prompt = string.Concat(Enumerable.Repeat(" one prompt", 20));
        // A quarter of what waits, and one at least.
        int[] behind = await Behind(() => Ask(sixteen));
        Assert.Equal(what == "each batch" ? [1, 16] : [1, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1], behind);
        behind = await Behind(() => Ask([.. Enumerable.Range(0, 8).Select(i => $"{prompt} {i}")]));
        Assert.Equal([1, 8], behind);

        // The batches of a request that comes while another is under way, so that all its texts wait together.
        async Task<int[]> Behind(Func<Task<Reply>> ask)
        {
            gate.Batches.Clear();
            gate.Close();
            Task<Reply> first = Ask("first");
            await UntilAsync(() => !gate.Batches.IsEmpty);
            Task<Reply> others = ask();
            await UntilAsync(() => api.Server.Waiting.Texts > 1);
            gate.Open();
            Assert.Equal((200, 200), ((await first).Status, (await others).Status));
            return [.. gate.Batches];
        }
    }

    [Fact]
    public void What_a_batch_costs_is_learned_from_the_last_ones()
    {
        Throughput throughput = new();
        Assert.Equal(TimeSpan.Zero, throughput.TimeFor(1000));
        Assert.Equal(double.PositiveInfinity, throughput.RowsWhereFixedCostIs(0.05));
        long now = 0;
        void Add(int rows, double milliseconds)
        {
            long begun = now;
            now += (long)(milliseconds / 1e3 * Stopwatch.Frequency);
            throughput.Add(new ScoringBatch([], rows), begun, now);
        }

        // The first is cold. All of one size tell a rate, and nothing more.
        Add(500, 40_000);
        for (int i = 0; i < 10; i++) Add(500, 2 + 1);
        Assert.Equal(double.PositiveInfinity, throughput.RowsWhereFixedCostIs(0.05));
        // 2 ms and 2 µs a row: 2 ms are a twentieth of 40 ms, of which the other 38 are 19,000 rows. Every eighth time the machine is away.
        for (int i = 0; i < 64; i++) Add(10 + (i * 10), 2 + (2e-3 * (10 + (i * 10))) + (i % 8 == 3 ? 50 : 0));
        Assert.Equal(19_000, throughput.RowsWhereFixedCostIs(0.05), 500.0);
        // What is long ago does not count.
        for (int i = 0; i < 64; i++) Add(10 + (i * 10), 0.1 + (1e-2 * (10 + (i * 10))));
        Assert.Equal(190, throughput.RowsWhereFixedCostIs(0.05), 5.0);
        // Faster the more there is: no line, and no limit.
        for (int i = 0; i < 64; i++) Add(100 + i, 100 - i);
        Assert.Equal(double.PositiveInfinity, throughput.RowsWhereFixedCostIs(0.05));
    }

    [Fact]
    public async Task A_caller_that_goes_takes_its_texts_along()
    {
        Gate gate = new(mini.Model);
        await using Api api = await Api.StartAsync(mini, gate.Score);
        Task<Reply> first = api.PostAsync("v1/rewards", Body("a"));
        await UntilAsync(() => !gate.Batches.IsEmpty);
        using CancellationTokenSource leave = new();
        Task<Reply> leaver = api.PostAsync("v1/rewards", new { prompt = "p", responses = new[] { "x", "y" } }, leave.Token);
        Task<Reply> stayer = api.PostAsync("v1/rewards", Body("b"));
        await UntilAsync(() => api.Server.Waiting.Texts == 3);
        leave.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaver);
        await UntilAsync(() => api.Server.Waiting.Texts == 1);
        gate.Open();
        Assert.Equal(200, (await first).Status);
        Assert.Equal(200, (await stayer).Status);
        Assert.Equal([1, 1], gate.Batches);
        Assert.Contains("ldlvk_abandoned_texts_total 2\n", (await api.GetAsync("metrics")).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_batch_that_nobody_waits_for_any_more_is_given_up()
    {
        Gate gate = new(mini.Model);
        await using Api api = await Api.StartAsync(mini, gate.Score);
        using CancellationTokenSource leave = new();
        Task<Reply> leaver = api.PostAsync("v1/rewards", Body("a"), leave.Token);
        await UntilAsync(() => !gate.Batches.IsEmpty);
        leave.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaver);
        // The gate never opened for it: the next one passes because the first was cancelled there.
        Task<Reply> next = api.PostAsync("v1/rewards", Body("b"));
        await UntilAsync(() => gate.Batches.Count == 2);
        gate.Open();
        Assert.Equal(200, (await next).Status);
    }

    [Fact]
    public async Task A_full_queue_says_when_to_come_again()
    {
        Gate gate = new(mini.Model);
        await using Api api = await Api.StartAsync(mini, gate.Score, Api.Options with { MaxQueue = 3 });
        Task<Reply> first = api.PostAsync("v1/rewards", Body("a"));
        await UntilAsync(() => !gate.Batches.IsEmpty);
        Task<Reply> two = api.PostAsync("v1/rewards", new { prompt = "p", responses = new[] { "x", "y" } });
        await UntilAsync(() => api.Server.Waiting.Texts == 2);
        Reply refused = await api.PostAsync("get_reward", new { query = new[] { "x", "y" } });
        Assert.Equal(429, refused.Status);
        Assert.InRange(refused.Response.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 300);
        Assert.Equal("Overloaded", (await api.PostAsync("predict", new { inputs = new[] { new[] { "x" }, ["y"] } })).Json.GetProperty("error_type").GetString());
        gate.Open();
        Assert.Equal((200, 200), ((await first).Status, (await two).Status));
        // More than the queue holds, but nobody else is there.
        Assert.Equal(200, (await api.PostAsync("get_reward", new { query = new[] { "a", "b", "c", "d" } })).Status);
    }

    [Fact]
    public async Task Told_to_stop_it_answers_what_is_under_way_and_nothing_new()
    {
        Gate gate = new(mini.Model);
        await using Api api = await Api.StartAsync(mini, gate.Score);
        Assert.Equal(200, (await api.GetAsync("ready")).Status);
        Task<Reply> first = api.PostAsync("v1/rewards", Body("a")), second = api.PostAsync("v1/rewards", Body("b"));
        await UntilAsync(() => gate.Batches.Sum() + api.Server.Waiting.Texts == 2);
        Task stopping = api.Server.StopAsync();
        Assert.Equal(503, (await api.GetAsync("ready")).Status);
        Assert.Equal(200, (await api.GetAsync("health")).Status);
        Reply refused = await api.PostAsync("v1/rewards", Body("c"));
        Assert.Equal(503, refused.Status);
        Assert.False(stopping.IsCompleted);
        gate.Open();
        Assert.Equal((200, 200), ((await first).Status, (await second).Status));
        await stopping;
        await Assert.ThrowsAsync<HttpRequestException>(() => api.GetAsync("health"));
    }

    [Fact]
    public async Task What_a_stop_does_not_wait_for_is_told_of()
    {
        Gate gate = new(mini.Model);
        LogRecorder log = new();
        await using Api api = await Api.StartAsync(mini, gate.Score, Api.Options with { DrainTime = TimeSpan.FromMilliseconds(200), LoggerFactory = log });
        Task<Reply> first = api.PostAsync("v1/rewards", Body("a"));
        await UntilAsync(() => !gate.Batches.IsEmpty);
        await api.Server.StopAsync();
        Assert.Contains(log.Records, record => record.Message == "Requests were cut off: 1 had not ended after the 0.2 s that a stop waits for them.");
        gate.Open();
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => first);
    }

    /// <summary>Where a model lies on the server's disk is in its log, and in no answer.</summary>
    [Fact]
    public async Task A_model_whose_files_changed_is_503_without_their_paths()
    {
        LogRecorder log = new();
        await using Api api = await Api.StartAsync(mini, (_, _) => throw new CheckpointException("/srv/models/secret/model.safetensors has changed."),
            Api.Options with { TrialAfter = TimeSpan.FromHours(1), LoggerFactory = log });
        foreach (Reply reply in (Reply[])[await api.PostAsync("v1/rewards", Body("a")), await api.PostAsync("predict", new { inputs = "a" }), await api.GetAsync("ready")])
        {
            Assert.Equal(503, reply.Status);
            string body = reply.Json.GetRawText();
            Assert.Contains("its files have changed or cannot be read", body, StringComparison.Ordinal);
            Assert.DoesNotContain("/srv", body, StringComparison.Ordinal);
        }

        Assert.Contains(log.Records, record => record.Message.Contains("/srv/models/secret/model.safetensors has changed.", StringComparison.Ordinal));
    }

    /// <summary>A balancer reads /ready now and then: what it sends until it has seen the 503 is answered, and loses its connection.</summary>
    [Fact]
    public async Task Told_to_stop_later_it_is_not_ready_at_once_and_answers_until_then()
    {
        Gate gate = new(mini.Model);
        TimeSpan delay = TimeSpan.FromSeconds(3);
        await using Api api = await Api.StartAsync(mini, gate.Score, Api.Options with { DrainDelay = delay });
        Reply before = await api.GetAsync("ready");
        Assert.Equal((200, null), (before.Status, before.Response.Headers.ConnectionClose));
        Task<Reply> first = api.PostAsync("v1/rewards", Body("a"));
        await UntilAsync(() => gate.Batches.Sum() + api.Server.Waiting.Texts == 1);
        long begun = Stopwatch.GetTimestamp();
        Task stopping = api.Server.StopAsync();
        Reply notReady = await api.GetAsync("ready");
        Assert.Equal((503, "stopping"), (notReady.Status, notReady.Json.GetProperty("status").GetString()));
        Task<Reply> late = api.PostAsync("v1/rewards", Body("b"));
        await UntilAsync(() => gate.Batches.Sum() + api.Server.Waiting.Texts == 2);
        gate.Open();
        // One began before the stop and one after it; both are answered, and neither connection is kept.
        foreach (Reply reply in (Reply[])[await first, await late])
            Assert.Equal((200, true), (reply.Status, reply.Response.Headers.ConnectionClose));
        await stopping;
        Assert.True(Stopwatch.GetElapsedTime(begun) >= delay - TimeSpan.FromMilliseconds(50));
        await Assert.ThrowsAsync<HttpRequestException>(() => api.GetAsync("health"));
    }

    [Fact]
    public async Task A_device_that_fails_is_503_and_not_ready_until_it_works_again()
    {
        bool fails = true;
        await using Api api = await Api.StartAsync(mini, (texts, cancellation) =>
            fails ? throw new DeviceException("the device fell off the bus.") : mini.Model.ScoreTogether(texts, cancellation),
            Api.Options with { TrialAfter = TimeSpan.FromHours(1) });
        Reply failed = await api.PostAsync("v1/rewards", Body("a"));
        Assert.Equal(503, failed.Status);
        Assert.Contains("fell off the bus", failed.Json.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal(503, (await api.PostAsync("predict", new { inputs = "a" })).Status);
        Assert.Equal(503, (await api.GetAsync("ready")).Status);
        fails = false;
        Assert.Equal(200, (await api.PostAsync("v1/rewards", Body("a"))).Status);
        Assert.Equal(200, (await api.GetAsync("ready")).Status);
    }

    /// <summary>A load balancer sends nothing to a server that is not ready.</summary>
    [Fact]
    public async Task A_device_that_works_again_is_found_without_a_request()
    {
        int left = 3;
        await using Api api = await Api.StartAsync(mini, (texts, cancellation) =>
            left-- > 0 ? throw new DeviceException("the device fell off the bus.") : mini.Model.ScoreTogether(texts, cancellation),
            Api.Options with { TrialAfter = TimeSpan.FromMilliseconds(20) });
        Assert.Equal(503, (await api.PostAsync("v1/rewards", Body("a"))).Status);
        await UntilAsync(() => api.Server.IsReady);
        Assert.Equal(200, (await api.GetAsync("ready")).Status);
        Assert.Equal((-1, 0), (left, api.Server.Waiting.Texts));
    }
}
