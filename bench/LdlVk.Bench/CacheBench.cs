using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;
using LdlVk.Server;
using LdlVk.Testing;

namespace LdlVk.Bench;

/// <summary>The server with its prompt cache beside the server without: answers to long prompts, each in a request of its own.</summary>
internal sealed class CacheBench : IAsyncDisposable
{
    private const int PromptTokens = 1000, AnswerTokens = 100, Answers = 16, Clients = 4, Rounds = 3;

    private readonly Random _random = new(1);
    private readonly RewardModel[] _models;
    private readonly RewardServer[] _servers;
    private readonly HttpClient[] _clients;

    private CacheBench(RewardModel[] models, RewardServer[] servers)
    {
        (_models, _servers) = (models, servers);
        _clients = [.. servers.Select(server => new HttpClient { BaseAddress = new Uri(server.Urls[0]) })];
    }

    /// <summary><c>cache [--model FOLDER] [--device DEVICE] [--prompts N]</c>.</summary>
    public static async Task RunAsync(string[] flags)
    {
        string Value(string name, string otherwise) => Array.IndexOf(flags, name) is var i && i >= 0 && i + 1 < flags.Length ? flags[i + 1] : otherwise;
        string folder = Value("--model", Repository.Path("models", "ldl-mini"));
        var options = new RewardModelOptions { Device = Value("--device", "cpu") };
        RewardModel[] models = [RewardModel.Load(folder, options with { PromptCache = 0 }), RewardModel.Load(folder, options)];
        List<RewardServer> servers = [];
        foreach (RewardModel model in models) servers.Add(await RewardServer.StartAsync(model, new ServerOptions { Urls = ["http://127.0.0.1:0"] }));
        await using CacheBench bench = new(models, [.. servers]);
        Say($"a cache of {models[1].Plan.CacheTokens} tokens; {Environment.ProcessorCount} cores");
        await bench.CompareAsync($"one prompt, {Answers} answers one after another", () => bench.Texts(1, Answers), clients: 1);
        int prompts = int.Parse(Value("--prompts", "64"), CultureInfo.InvariantCulture);
        await bench.CompareAsync($"{prompts} prompts, {Answers} answers each, shuffled, by {Clients} clients", () => bench.Texts(prompts, Answers), Clients);
        await bench.CompareAsync("nothing shared, one after another", () => bench.Texts(4 * Answers, 1), clients: 1);
        Say($"{models[1].PromptCache}");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (HttpClient client in _clients) client.Dispose();
        foreach (RewardServer server in _servers) await server.DisposeAsync();
        foreach (RewardModel model in _models) model.Dispose();
    }

    /// <summary>Both servers in turn, with texts that are new to both in each round; every answer is compared, to the bit.</summary>
    private async Task CompareAsync(string what, Func<int[][]> make, int clients)
    {
        List<double> without = [], with = [];
        for (int round = 0; round <= Rounds; round++)
        {
            int[][] texts = make();
            (double Seconds, float[] Scores)[] runs = [await AskAsync(_clients[0], texts, clients), await AskAsync(_clients[1], texts, clients)];
            if (!runs[0].Scores.SequenceEqual(runs[1].Scores)) throw new InvalidOperationException("The cache changed a score.");
            if (round == 0) continue; // to warm up
            without.Add(runs[0].Seconds);
            with.Add(runs[1].Seconds);
        }

        Say($"{what}: {without.Min():F2} s without, {with.Min():F2} s with the cache: {without.Min() / with.Min():F2} times the throughput (best of {Rounds}, in turn)");
    }

    private int[][] Texts(int prompts, int answers)
    {
        int[][] texts = [.. Enumerable.Range(0, prompts).Select(_ => Ids(PromptTokens)).SelectMany(prompt => Enumerable.Range(0, answers).Select(_ => (int[])[.. prompt, .. Ids(AnswerTokens)]))];
        _random.Shuffle(texts);
        return texts;
    }

    private int[] Ids(int count) => [.. Enumerable.Range(0, count).Select(_ => _random.Next(10, 1000))];

    private static async Task<(double Seconds, float[] Scores)> AskAsync(HttpClient client, int[][] texts, int clients)
    {
        float[] scores = new float[texts.Length];
        int next = 0;
        long begun = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            while (Interlocked.Increment(ref next) - 1 is var i && i < texts.Length) scores[i] = await AskAsync(client, texts[i]);
        }));
        return (Stopwatch.GetElapsedTime(begun).TotalSeconds, scores);
    }

    private static async Task<float> AskAsync(HttpClient client, int[] ids)
    {
        using ByteArrayContent content = new(JsonSerializer.SerializeToUtf8Bytes(new { input_ids = ids }));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using HttpResponseMessage response = await client.PostAsync("v1/rewards", content);
        response.EnsureSuccessStatusCode();
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync());
        return json.RootElement.GetProperty("data")[0].GetProperty("score").GetSingle();
    }

    private static void Say(FormattableString text) => Console.WriteLine(text.ToString(CultureInfo.InvariantCulture));
}
