using System.Diagnostics;
using LdlVk.Server;
using LdlVk.Testing;
using static LdlVk.Bench.ServerCalls;

namespace LdlVk.Bench;

/// <summary>
/// The server with its prompt cache beside the server without, or with host memory behind a small one beside the small one alone: answers to
/// long prompts, each in a request of its own.
/// </summary>
internal sealed class CacheBench : IAsyncDisposable
{
    private const int AnswerTokens = 100, Alone = 64;

    private readonly Random _random = new(1);
    private readonly RewardModel[] _models;
    private readonly RewardServer[] _servers;
    private readonly HttpClient[] _clients;
    private readonly string[] _words;
    private readonly int _rounds, _promptTokens, _answers;

    private CacheBench(RewardModel[] models, RewardServer[] servers, string[] flags)
    {
        (_models, _servers) = (models, servers);
        (_rounds, _promptTokens, _answers) = ((int)Number(flags, "--rounds", 3), (int)Number(flags, "--prompt-tokens", 1000), (int)Number(flags, "--answers", 16));
        _clients = [.. servers.Select(server => new HttpClient { BaseAddress = new Uri(server.Urls[0]), Timeout = TimeSpan.FromHours(1) })];
        // Words of one token each.
        _words = [.. Enumerable.Range(0, 4000).Select(models[0].Piece).Where(piece => piece.Length > 3 && piece[0] is '▁' or 'Ġ' && piece.Skip(1).All(char.IsAsciiLetterLower)).Select(piece => piece[1..])];
    }

    /// <summary>
    /// <c>cache [--model FOLDER] [--device DEVICE] [--prompts N] [--rounds N] [--rate N] [--prompt-tokens N] [--answers N]
    /// [--alone N] [--cache-tokens N --host-tokens N]</c>.
    /// </summary>
    public static async Task RunAsync(string[] flags)
    {
        string folder = Value(flags, "--model", Repository.Path("models", "ldl-mini"));
        var options = new RewardModelOptions { Device = Value(flags, "--device", "cpu") };
        ExecutionPlan plan = RewardModel.MakePlan(folder, options);
        long tokenBytes = plan.Stages.Sum(stage => stage.CacheBytes) / plan.CacheTokens, host = (long)Number(flags, "--host-tokens", 0);
        RewardModelOptions bare = options with { PromptCache = 0, PromptCacheHost = 0 }, cached = options;
        if (host > 0)
        {
            bare = options with { PromptCache = tokenBytes * (long)Number(flags, "--cache-tokens", 8000), PromptCacheHost = 0 };
            cached = bare with { PromptCacheHost = tokenBytes * host };
        }

        RewardModel[] models = [RewardModel.Load(folder, bare), RewardModel.Load(folder, cached)];
        List<RewardServer> servers = [];
        foreach (RewardModel model in models) servers.Add(await RewardServer.StartAsync(model, new ServerOptions { Urls = ["http://127.0.0.1:0"] }));
        await using CacheBench bench = new(models, [.. servers], flags);
        Say($"a cache of {models[1].Plan.CacheTokens} tokens, {models[1].Plan.HostCacheTokens} more in host memory; {Load()}");
        double alone = await bench.CompareAsync("nothing shared, one after another", () => bench.Texts((int)Number(flags, "--alone", Alone), 1), null);
        int answers = bench._answers;
        if (host == 0) await bench.CompareAsync($"one prompt, {answers} answers one after another", () => bench.Texts(1, answers), null);
        int prompts = (int)Number(flags, "--prompts", 64);
        if (host > 0) await bench.CompareAsync($"{prompts} prompts, {answers} answers each, shuffled, one after another", () => bench.Texts(prompts, answers), null);
        else await bench.CompareAsync($"{prompts} prompts, {answers} answers each, shuffled, at random times", () => bench.Texts(prompts, answers), Number(flags, "--rate", 8 / alone));
        PromptCacheUse use = models[1].PromptCache;
        if (host > 0) Say($"without host memory: {models[0].PromptCache}");
        Say($"{use}; {use.Bytes / 1e6:F0} MB of {models[1].Plan.Stages.Sum(stage => stage.CacheBytes) / 1e6:F0}; {Load()}");
        if (use.Stored > use.Capacity) throw new InvalidOperationException("The cache has more than its limit.");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (HttpClient client in _clients) client.Dispose();
        foreach (RewardServer server in _servers) await server.DisposeAsync();
        foreach (RewardModel model in _models) model.Dispose();
    }

    /// <summary>
    /// Both servers in turn, with texts that are new to both in each round; every answer is compared with that of the other, and some with
    /// the text's own score, to the bit. Returns the seconds of an answer without the cache.
    /// </summary>
    private async Task<double> CompareAsync(string what, Func<(string, string)[]> make, double? rate)
    {
        List<double> ratios = [], work = [], without = [], with = [];
        for (int round = 0; round <= _rounds; round++)
        {
            (string Prompt, string Response)[] texts = make();
            double[] seconds = new double[2], busy = new double[2];
            float[][] scores = new float[2][];
            int seed = _random.Next();
            if (rate is null) await AskInTurnAsync(texts, scores, seconds, busy);
            foreach (int server in rate is null ? (int[])[] : round % 2 == 0 ? [0, 1] : [1, 0])
            {
                long begun = Stopwatch.GetTimestamp();
                (scores[server], double[] times) = await AskAtRandomAsync(_clients[server], texts, rate!.Value, seed);
                seconds[server] = Stopwatch.GetElapsedTime(begun).TotalSeconds;
                Say($"  {(server == 0 ? "without" : "with")}: {texts.Length / seconds[server]:F1} answers/s where {rate:F1} come; time to an answer, median and 99th percentile, {Shown(times)}");
            }

            if (!scores[0].SequenceEqual(scores[1])) throw new InvalidOperationException("The cache changed a score.");
            for (int i = 0; i < texts.Length; i += 1 + (texts.Length / 64))
                if (_models[0].Score(new Conversation(texts[i].Prompt, texts[i].Response)).Score != scores[1][i]) throw new InvalidOperationException("An answer is not the text's own score.");
            if (round == 0 && rate is null) continue; // to warm up
            without.Add(seconds[0] / texts.Length);
            with.Add(seconds[1] / texts.Length);
            ratios.Add(seconds[0] / seconds[1]);
            if (rate is null) work.Add(busy[0] / busy[1]);
            if (rate is not null && ratios.Count == _rounds) break;
        }

        Say($"{what}: {1e3 * without.Min():F1} ms an answer without, {1e3 * with.Min():F1} ms with the cache: {without.Min() / with.Min():F3} times the throughput (best of {_rounds}, in turn); of the pairs {Quantile(ratios, 0.5):F3} in the median, {ratios.Min():F3} to {ratios.Max():F3}");
        if (rate is null) Say($"  processor time without over that with the cache: {Quantile(work, 0.5):F3} in the median, {work.Min():F3} to {work.Max():F3}");
        return without.Min();
    }

    private (string, string)[] Texts(int prompts, int answers)
    {
        (string, string)[] texts = [.. Enumerable.Range(0, prompts).Select(_ => Words(_promptTokens)).SelectMany(prompt => Enumerable.Range(0, answers).Select(_ => (prompt, Words(AnswerTokens))))];
        _random.Shuffle(texts);
        return texts;
    }

    private string Words(int count) => string.Join(' ', _random.GetItems(_words, count));

    /// <summary>Asks the servers for each text in turn, so that what else the machine does befalls both.</summary>
    private async Task AskInTurnAsync((string, string)[] texts, float[][] scores, double[] seconds, double[] busy)
    {
        for (int server = 0; server < 2; server++) scores[server] = new float[texts.Length];
        for (int i = 0; i < 2 * texts.Length; i++)
        {
            (int text, int server) = (i / 2, (i + (i / 2)) % 2);
            TimeSpan before = Environment.CpuUsage.TotalTime;
            (scores[server][text], double more) = await AskAsync(_clients[server], texts[text]);
            seconds[server] += more;
            busy[server] += (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        }
    }

    /// <summary>Requests that come whether or not those before them are answered.</summary>
    private static async Task<(float[] Scores, double[] Seconds)> AskAtRandomAsync(HttpClient client, (string, string)[] texts, double rate, int seed)
    {
        Random random = new(seed);
        List<Task<(float Score, double Seconds)>> asked = [];
        long begun = Stopwatch.GetTimestamp();
        double due = 0;
        foreach ((string, string) text in texts)
        {
            await UntilAsync(begun, due);
            asked.Add(Task.Run(() => AskAsync(client, text)));
            due += Pause(random, rate);
        }

        (float Score, double Seconds)[] answers = await Task.WhenAll(asked);
        return ([.. answers.Select(a => a.Score)], [.. answers.Select(a => a.Seconds)]);
    }

    private static async Task<(float Score, double Seconds)> AskAsync(HttpClient client, (string Prompt, string Response) text)
    {
        long sent = Stopwatch.GetTimestamp();
        float score = (await ServerCalls.AskAsync(client, [text]))[0];
        return (score, Stopwatch.GetElapsedTime(sent).TotalSeconds);
    }
}
