using System.Diagnostics;
using System.Text.Json;
using LdlVk.Server;
using LdlVk.Testing;
using static LdlVk.Bench.ServerCalls;

namespace LdlVk.Bench;

/// <summary>The server beside scoring without one: throughput, time lost in the queue at half load, and many clients of whom some leave.</summary>
internal sealed class ServeBench : IDisposable
{
    private const int Rounds = 4, TextsOfRequest = 16, Clients = 32, SingleClients = 64, RestlessClients = 200;

    private readonly RewardModel _model;
    private readonly (string Prompt, string Response)[] _texts;
    private readonly Dictionary<(string, string), float> _alone = [];
    private readonly double[] _aloneSeconds;

    private ServeBench(string folder, string device)
    {
        _model = RewardModel.Load(folder, new RewardModelOptions { Device = device });
        _texts = [.. File.ReadLines(Repository.Path("tests", "data", "ldl-mini", "eval-permissive.jsonl")).SelectMany(Pair)];
        _aloneSeconds = new double[_texts.Length];
        Array.Fill(_aloneSeconds, double.MaxValue);
        // The best of some: the first one warms up, and what else a machine does only ever adds.
        for (int round = 0; round < Rounds; round++)
            for (int i = 0; i < _texts.Length; i++)
            {
                long begun = Stopwatch.GetTimestamp();
                _alone[_texts[i]] = _model.Score(new Conversation(_texts[i].Prompt, _texts[i].Response)).Score;
                _aloneSeconds[i] = Math.Min(_aloneSeconds[i], Stopwatch.GetElapsedTime(begun).TotalSeconds);
            }
    }

    /// <summary><c>serve [--model FOLDER] [--device DEVICE] [--seconds N] [--rate N]</c>.</summary>
    public static async Task RunAsync(string[] flags)
    {
        using ServeBench bench = new(Value(flags, "--model", Repository.Path("models", "ldl-mini")), Value(flags, "--device", "cpu"));
        double seconds = Number(flags, "--seconds", 60);
        await using RewardServer server = await RewardServer.StartAsync(bench._model, new ServerOptions { Urls = ["http://127.0.0.1:0"] });
        using HttpClient client = new() { BaseAddress = new Uri(server.Urls[0]) };
        Say($"{Load()}");
        await bench.ThroughputAsync(client);
        double half = await bench.SinglesAsync(client) / 2;
        await bench.HalfLoadAsync(client, Number(flags, "--rate", half), seconds);
        await bench.RestlessAsync(client, seconds);
    }

    public void Dispose() => _model.Dispose();

    /// <summary>The same texts with and without a server, in turn.</summary>
    private async Task ThroughputAsync(HttpClient client)
    {
        // Enough for seconds, and no two equal: of equal ones in a window all but one would cost nothing offline.
        (string, string)[] all = [.. Enumerable.Range(0, 2).SelectMany(pass => _texts.Select(t => ($"({pass}) {t.Prompt}", t.Response)))];
        List<double> offline = [], served = [];
        for (int round = 0; round <= Rounds; round++)
        {
            long begun = Stopwatch.GetTimestamp();
            await foreach (ScoreResult result in _model.ScoreManyAsync(all.Select(t => new Conversation(t.Item1, t.Item2)))) _alone[all[result.Index]] = result.Value.Score;
            double without = Stopwatch.GetElapsedTime(begun).TotalSeconds, with = await AskForAllAsync(client, all, TextsOfRequest, Clients);
            if (round == 0) continue; // to warm up
            offline.Add(without);
            served.Add(with);
        }

        Say($"throughput: {all.Length} texts in requests of {TextsOfRequest} by {Clients} clients: {all.Length / served.Min():F0} texts/s served, {all.Length / offline.Min():F0} offline: {offline.Min() / served.Min():F3} (best of {Rounds}, in turn); of the medians {Quantile(offline, 0.5) / Quantile(served, 0.5):F3}");
    }

    /// <summary>Texts a second in requests of one text, by so many clients that the server is never without.</summary>
    private async Task<double> SinglesAsync(HttpClient client)
    {
        double seconds = double.MaxValue;
        for (int round = 0; round < Rounds; round++) seconds = Math.Min(seconds, await AskForAllAsync(client, _texts, textsOfRequest: 1, SingleClients));
        Say($"requests of one text by {SingleClients} clients: {_texts.Length / seconds:F0} texts/s served (best of {Rounds})");
        return _texts.Length / seconds;
    }

    /// <summary>Has clients ask for all texts, each its next request when the last one is answered; returns the seconds that takes.</summary>
    private async Task<double> AskForAllAsync(HttpClient client, (string, string)[] texts, int textsOfRequest, int clients)
    {
        long begun = Stopwatch.GetTimestamp();
        int next = 0;
        (string, string)[][] requests = [.. texts.Chunk(textsOfRequest)];
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            while (Interlocked.Increment(ref next) - 1 is var i && i < requests.Length) Check(requests[i], await AskAsync(client, requests[i]));
        }));
        return Stopwatch.GetElapsedTime(begun).TotalSeconds;
    }

    /// <summary>
    /// Requests of one text that come at random times, at half of the rate at which the server can answer such. Texts meet by chance, so that
    /// they wait whoever scores them: beside what a request takes stands what it takes where a thread scores the same texts, as they come,
    /// one by one and without a server, and what it would take if each text took no longer than alone. A server is to blame for the rest.
    /// </summary>
    private async Task HalfLoadAsync(HttpClient client, double rate, double seconds)
    {
        using RequestSpans spans = new();
        Random random = new(1);
        List<int> texts = [];
        List<Task<double>> asked = [];
        long begun = Stopwatch.GetTimestamp();
        for (double due = 0; due < seconds; due += Pause(random, rate))
        {
            await UntilAsync(begun, due);
            int number = texts.Count, text = random.Next(_texts.Length);
            texts.Add(text);
            asked.Add(Task.Run(async () =>
            {
                long sent = Stopwatch.GetTimestamp();
                Check([_texts[text]], await AskAsync(client, [_texts[text]], RequestSpans.Header(number)));
                return Stopwatch.GetElapsedTime(sent).TotalSeconds;
            }));
        }

        double[] byClient = await Task.WhenAll(asked), alone = [.. texts.Select(t => _aloneSeconds[t])];
        (DateTime Came, TimeSpan Time, TimeSpan Reading)[] byServer = [.. texts.Select((_, i) => spans[i])];
        double[] server = [.. byServer.Select(s => s.Time.TotalSeconds)];
        DateTime firstCame = byServer.Min(s => s.Came);
        double[] came = [.. byServer.Select(s => (s.Came - firstCame).TotalSeconds)];
        double[] byThread = ByThread(came, texts), inTurn = InTurn(came, alone);
        double[] passesOfOne = [.. spans.Passes.Where(p => p.Texts == 1).Select(p => p.Time.TotalSeconds / alone[p.First])];
        Say($"half load: {texts.Count} requests of one text in {seconds:F0} s ({rate:F0} a second, Poisson); a text alone takes {Shown(alone)}; median and 99th percentile, {Load()}");
        Say($"  answer as the client sees it:     {Shown(byClient)}; beyond the text's time alone {Beyond(byClient)}");
        Say($"  as the server sees it:            {Shown(server)}; beyond the text's time alone {Beyond(server)}; reading and tokenising {Shown([.. byServer.Select(s => s.Reading.TotalSeconds)])}");
        Say($"  by a thread without a server:     {Shown(byThread)}; beyond the text's time alone {Beyond(byThread)}");
        Say($"  the texts' times alone, in turn:  {Shown(inTurn)}; beyond the text's time alone {Beyond(inTurn)}");
        Say($"  the server's 99th percentile is {1e3 * (Quantile(server, 0.99) - Quantile(byThread, 0.99)):F1} ms beyond the thread's; {spans.Passes.Count} passes, of one text {passesOfOne.Length}, of {spans.Passes.Max(p => p.Texts)} at most; those of one text took {Quantile(passesOfOne, 0.5):F2} of its time alone in the median");

        string Beyond(double[] answers) => Shown([.. answers.Zip(alone, (a, b) => a - b)]);
    }

    /// <summary>Seconds to each answer where what comes at such times is scored one after another.</summary>
    private double[] ByThread(double[] came, IReadOnlyList<int> texts)
    {
        double[] seconds = new double[came.Length];
        long begun = Stopwatch.GetTimestamp();
        foreach (int i in Enumerable.Range(0, came.Length).OrderBy(i => came[i]))
        {
            while (came[i] - Stopwatch.GetElapsedTime(begun).TotalSeconds is > 0 and var early) Thread.Sleep(early > 2e-3 ? 1 : 0);
            _model.Score(new Conversation(_texts[texts[i]].Prompt, _texts[texts[i]].Response));
            seconds[i] = Stopwatch.GetElapsedTime(begun).TotalSeconds - came[i];
        }

        return seconds;
    }

    /// <summary>Seconds to each answer where what comes at such times is served one after another, each for so long.</summary>
    private static double[] InTurn(double[] came, double[] takes)
    {
        double[] seconds = new double[came.Length];
        double free = 0;
        foreach (int i in Enumerable.Range(0, came.Length).OrderBy(i => came[i]))
        {
            free = Math.Max(free, came[i]) + takes[i];
            seconds[i] = free - came[i];
        }

        return seconds;
    }

    /// <summary>Many clients at once, of whom some leave before their answer; every answer is compared with the text's score alone, to the bit.</summary>
    private async Task RestlessAsync(HttpClient client, double seconds)
    {
        int answers = 0, left = 0;
        long end = Stopwatch.GetTimestamp() + (long)(seconds * Stopwatch.Frequency);
        Task memory = Task.Run(async () =>
        {
            while (Stopwatch.GetTimestamp() < end)
            {
                await Task.Delay(TimeSpan.FromSeconds(Math.Min(10, seconds / 3)));
                Say($"  {answers} answers, {left} left; {GC.GetTotalMemory(forceFullCollection: true) / 1e6:F1} MB on the heap, {Environment.WorkingSet / 1e6:F0} MB in all");
            }
        });
        await Task.WhenAll(Enumerable.Range(0, RestlessClients).Select(async seed =>
        {
            Random random = new(seed);
            while (Stopwatch.GetTimestamp() < end)
            {
                (string, string)[] texts = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => _texts[random.Next(_texts.Length)])];
                using CancellationTokenSource patience = new();
                bool leaves = random.Next(4) == 0;
                if (leaves) patience.CancelAfter(random.Next(0, 400));
                try
                {
                    Check(texts, await AskAsync(client, texts, cancellation: patience.Token));
                    Interlocked.Increment(ref answers);
                }
                catch (OperationCanceledException) when (leaves)
                {
                    Interlocked.Increment(ref left);
                }
            }
        }));
        await memory;
        Say($"restless: {RestlessClients} clients for {seconds:F0} s: {answers} answers, each the same to the bit as alone; {left} left before theirs");
    }

    private void Check((string, string)[] texts, float[] scores)
    {
        if (!texts.Select(t => _alone[t]).SequenceEqual(scores)) throw new InvalidOperationException("An answer is not the text's own score.");
    }

    private static IEnumerable<(string, string)> Pair(string line)
    {
        using JsonDocument pair = JsonDocument.Parse(line);
        string Text(string name) => pair.RootElement.GetProperty(name).GetString()!;
        return [(Text("prompt"), Text("chosen")), (Text("prompt"), Text("rejected"))];
    }
}
