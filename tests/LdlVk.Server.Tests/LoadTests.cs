using System.Diagnostics;
using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Server.Tests;

/// <summary>200 clients at once, some of whom leave before their answer; the benchmark does the same for longer.</summary>
[Trait("Duration", "Long")]
public class LoadTests(Mini mini)
{
    private const int Clients = 200;

    [Fact]
    public async Task No_answer_is_wrong_lost_or_swapped()
    {
        (string Prompt, string Response, string Text)[] texts = [.. File.ReadLines(Repository.Path("tests", "data", "ldl-mini", "eval-permissive.jsonl")).Take(60).SelectMany(line =>
        {
            JsonElement pair = Api.Json(line);
            string prompt = pair.GetProperty("prompt").GetString()!;
            return new[] { "chosen", "rejected" }.Select(name => pair.GetProperty(name).GetString()!).Select(response => (prompt, response, Runtime.Text.ChatTemplate.Gemma2.Render(new Conversation(prompt, response).Messages)));
        })];
        // Each text's own score, alone.
        float[] alone = [.. texts.Select(t => mini.Model.Score(new Conversation(t.Prompt, t.Response)).Score)];
        await using Api api = await Api.StartAsync(mini);
        long end = Stopwatch.GetTimestamp() + (5 * Stopwatch.Frequency);
        int answered = 0, left = 0;
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(ClientAsync));
        Assert.True(answered > Clients, $"{answered} answers.");
        Assert.True(left > 0);
        // Nothing is left behind.
        for (int i = 0; i < 500 && api.Server.Waiting.Texts > 0; i++) await Task.Delay(10);
        Assert.Equal((0, 0), api.Server.Waiting);

        async Task ClientAsync(int seed)
        {
            Random random = new(seed);
            // Five seconds of load, or as long as a busy machine takes for enough answers.
            while (Stopwatch.GetTimestamp() is var now && (now < end || (Volatile.Read(ref answered) <= Clients && now < end + (60 * Stopwatch.Frequency))))
            {
                int[] chosen = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => random.Next(texts.Length))];
                using CancellationTokenSource patience = new();
                bool leaves = random.Next(4) == 0;
                if (leaves) patience.CancelAfter(random.Next(0, 300));
                try
                {
                    float[] scores = await AskAsync(random.Next(3), chosen, patience.Token);
                    Assert.Equal(chosen.Select(i => alone[i]), scores);
                    Interlocked.Increment(ref answered);
                }
                catch (OperationCanceledException) when (leaves)
                {
                    Interlocked.Increment(ref left);
                }
            }
        }

        async Task<float[]> AskAsync(int protocol, int[] chosen, CancellationToken cancellation)
        {
            switch (protocol)
            {
                case 0:
                    return [.. (await api.PostAsync("get_reward", new { query = chosen.Select(i => texts[i].Text) }, cancellation)).Ok.GetProperty("rewards").EnumerateArray().Select(s => s.GetSingle())];
                case 1:
                    return [.. (await api.PostAsync("classify", new { input = chosen.Select(i => texts[i].Text) }, cancellation)).Ok.GetProperty("data").EnumerateArray().Select(d => d.GetProperty("probs")[0].GetSingle())];
                default:
                    object items = chosen.Select(i => new { prompt = texts[i].Prompt, response = texts[i].Response });
                    return [.. (await api.PostAsync("v1/rewards", new { items }, cancellation)).Ok.GetProperty("data").EnumerateArray().Select(d => d.GetProperty("score").GetSingle())];
            }
        }
    }
}
