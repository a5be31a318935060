using System.Net;
using System.Text;
using LdlVk.Server;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.AI.Evaluation;

namespace LdlVk.Extensions.AI.Tests;

/// <summary>Servers that do not answer as they should: each error says what to do.</summary>
public sealed class ServerErrorTests(Mini mini)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_dead_server_is_said()
    {
        using HttpClient client = new() { BaseAddress = new Uri("http://127.0.0.1:9") };
        HttpRequestException error = await ConnectFailsAsync(client);
        Assert.Contains("http://127.0.0.1:9/ cannot be reached", error.Message, StringComparison.Ordinal);
        Assert.Contains("Start it with ldlvk serve", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_key_and_a_wrong_one_are_told_apart()
    {
        foreach ((string? key, string words) in ((string?, string)[])[(null, "needs a key"), ("wrong", "refuses the key")])
        {
            using HttpClient client = Mini.ClientOf(mini.Server, key);
            HttpRequestException error = await ConnectFailsAsync(client);
            Assert.Equal(HttpStatusCode.Unauthorized, error.StatusCode);
            Assert.Contains(words, error.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("wrong", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_client_without_an_address_is_said()
    {
        using HttpClient client = new();
        Assert.Contains("BaseAddress", (await Assert.ThrowsAsync<ArgumentException>(() => RewardEvaluator.ConnectAsync(client))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("<html>hello</html>")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"data":[]}""")]
    [InlineData("""{"data":[{"id":"gpt-4"}]}""")]
    [InlineData("""{"data":[{"id":1,"attributes":[]}]}""")]
    public async Task Another_server_is_said(string answer)
    {
        using HttpClient client = Stub(_ => Reply(200, answer));
        Assert.Contains("is not ldlvk serve", (await ConnectFailsAsync(client)).Message, StringComparison.Ordinal);
        using HttpClient missing = Stub(_ => Reply(404, answer));
        Assert.Contains("is not ldlvk serve", (await ConnectFailsAsync(missing)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(500, """{"title":"Internal Server Error","detail":"the device is lost"}""", "answers 500: the device is lost")]
    [InlineData(413, """{"detail":"too large"}""", "answers 413: too large")]
    [InlineData(422, """{"detail":"x","errors":[{"index":0,"reason":"too long"}]}""", "refuses the conversation: too long")]
    [InlineData(200, """{"model":"other","data":[{"score":1,"tokens":1}]}""", "has the model other now")]
    [InlineData(200, """{"model":"m","data":[{"tokens":1}]}""", "is not ldlvk serve")]
    [InlineData(200, """{"model":"m","data":[{"score":1,"tokens":1}]}""", "Create the evaluator anew")]
    [InlineData(200, "{", "is not ldlvk serve")]
    public async Task An_answer_that_is_no_reward_is_a_diagnostic(int status, string answer, string words)
    {
        using HttpClient client = Stub(request => request.Method == HttpMethod.Get ? Models() : Reply(status, answer));
        RewardEvaluator evaluator = await RewardEvaluator.ConnectAsync(client, cancellationToken: Cancellation);
        Assert.Contains(words, await DiagnosticAsync(evaluator), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_dies_later_is_a_diagnostic()
    {
        RewardServer server = await Mini.StartAsync(mini.Model);
        using HttpClient client = Mini.ClientOf(server);
        RewardEvaluator evaluator = await RewardEvaluator.ConnectAsync(client, cancellationToken: Cancellation);
        await server.DisposeAsync();
        Assert.Contains("cannot be reached", await DiagnosticAsync(evaluator), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_slow_server_is_given_up_after_the_clients_time()
    {
        using HttpClient client = Stub(request =>
        {
            if (request.Method == HttpMethod.Get) return Models();
            throw new TaskCanceledException("The request was canceled due to the configured HttpClient.Timeout.", new TimeoutException());
        });
        client.Timeout = TimeSpan.FromSeconds(7);
        RewardEvaluator evaluator = await RewardEvaluator.ConnectAsync(client, cancellationToken: Cancellation);
        Assert.Contains("did not answer within 7 s", await DiagnosticAsync(evaluator), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_busy_server_is_asked_again()
    {
        int calls = 0;
        using HttpClient client = Stub(request =>
        {
            if (request.Method == HttpMethod.Get) return Models();
            if (++calls == 5) return Reply(200, """{"model":"m","data":[{"score":1.5,"tokens":1,"weights":[1],"distribution":[0.5,0.5],"rewards":[[0.25,0.75]]}]}""");
            // The last two are a proxy's.
            HttpResponseMessage busy = Reply(new[] { 429, 503, 502, 504 }[calls - 1], """{"detail":"full"}""");
            busy.Headers.RetryAfter = new(TimeSpan.Zero);
            return busy;
        });
        RewardEvaluator evaluator = await RewardEvaluator.ConnectAsync(client, cancellationToken: Cancellation);
        EvaluationResult result = await evaluator.EvaluateAsync(new ChatMessage(ChatRole.User, "q"), new ChatMessage(ChatRole.Assistant, "a"), cancellationToken: Cancellation);
        Assert.Equal((1.5, 0.75), (result.Get<NumericMetric>("Reward").Value, result.Get<NumericMetric>("Reward: a").Value));
        Assert.Equal(5, calls);
    }

    [Fact]
    public async Task A_server_that_stays_busy_is_a_diagnostic()
    {
        int calls = 0;
        using HttpClient client = Stub(request =>
        {
            if (request.Method == HttpMethod.Get) return Models();
            calls++;
            HttpResponseMessage busy = Reply(429, """{"detail":"the queue is full"}""");
            busy.Headers.RetryAfter = new(TimeSpan.Zero);
            return busy;
        });
        RewardEvaluator evaluator = await RewardEvaluator.ConnectAsync(client, cancellationToken: Cancellation);
        Assert.Contains("429: the queue is full", await DiagnosticAsync(evaluator), StringComparison.Ordinal);
        Assert.InRange(calls, 2, 10);
    }

    [Fact]
    public async Task An_address_with_a_path_keeps_it()
    {
        List<string> paths = [];
        using HttpClient client = Stub(request =>
        {
            paths.Add(request.RequestUri!.AbsolutePath);
            return request.Method == HttpMethod.Get ? Models() : Reply(500, "{}");
        });
        client.BaseAddress = new Uri("http://rm.example/team/rm");
        await DiagnosticAsync(await RewardEvaluator.ConnectAsync(client, cancellationToken: Cancellation));
        Assert.Equal(["/team/rm/v1/models", "/team/rm/v1/rewards"], paths);
    }

    private static async Task<HttpRequestException> ConnectFailsAsync(HttpClient client) =>
        await Assert.ThrowsAsync<HttpRequestException>(() => RewardEvaluator.ConnectAsync(client, cancellationToken: Cancellation));

    private static async Task<string> DiagnosticAsync(RewardEvaluator evaluator)
    {
        EvaluationResult result = await evaluator.EvaluateAsync(
            new ChatMessage(ChatRole.User, "q"), new ChatMessage(ChatRole.Assistant, "a"), cancellationToken: Cancellation);
        Assert.All(result.Metrics.Values, metric => Assert.Null(((NumericMetric)metric).Value));
        return Assert.Single(result.Metrics["Reward"].Diagnostics!).Message;
    }

    private static HttpResponseMessage Models() => Reply(200, """{"data":[{"id":"m","attributes":["a"]}]}""");

    private static HttpResponseMessage Reply(int status, string body) =>
        new((HttpStatusCode)status) { Content = new StringContent(body, Encoding.UTF8, "application/json") };

    private static HttpClient Stub(Func<HttpRequestMessage, HttpResponseMessage> answer) =>
        new(new Answers(answer)) { BaseAddress = new Uri("http://rm.example/") };

    private sealed class Answers(Func<HttpRequestMessage, HttpResponseMessage> answer) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(answer(request));
    }
}
