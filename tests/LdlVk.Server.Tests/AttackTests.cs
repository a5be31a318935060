using System.Net;
using System.Net.Sockets;
using System.Text;
using LdlVk.Server.Http.Connections;
using LdlVk.Testing;
using Microsoft.AspNetCore.Connections;

namespace LdlVk.Server.Tests;

/// <summary>Many connections, large bodies, clients that leave, and a model that changes; bench/siege measures the same at full size.</summary>
public class AttackTests(Mini mini)
{
    private static readonly byte[] Half = Encoding.ASCII.GetBytes("POST /v1/rewards HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{");

    [Theory]
    [InlineData("")]
    [InlineData("GET /v1/models HTTP/1.1\r\nX: ")]
    [InlineData("POST /v1/rewards HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16000000\r\n\r\n{")]
    public async Task Connections_above_the_limit_close_the_oldest_and_shut_out_nobody(string beginning)
    {
        await using Api api = await Api.StartAsync(mini, Api.Options with { MaxConnections = 60, MaxConnectionsPerClient = 40 });
        List<TcpClient> clients = [];
        try
        {
            for (int i = 0; i < 200; i++)
            {
                clients.Add(new TcpClient());
                await clients[^1].ConnectAsync("127.0.0.1", api.Client.BaseAddress!.Port);
                await clients[^1].GetStream().WriteAsync(Encoding.ASCII.GetBytes(beginning));
            }

            for (int i = 0; i < 5; i++) Assert.Equal(200, (await api.GetAsync("health")).Status);
            Assert.Equal(200, (await api.PostAsync("v1/rewards", new { prompt = "a", response = "b" })).Status);
            Assert.InRange(api.Server.Connections.Count, 1, 40);
            Assert.InRange(api.Server.Connections.Evicted, 160, 200);
            Assert.Contains("ldlvk_evicted_connections_total 1", (await api.GetAsync("metrics")).Text, StringComparison.Ordinal);
        }
        finally
        {
            foreach (TcpClient client in clients) client.Dispose();
        }
    }

    [Theory]
    [InlineData("FFFFFFFFFFFFFFFF")]
    [InlineData("80000000")]
    [InlineData("x")]
    public async Task A_chunk_of_a_wrong_size_is_the_client_s_fault(string size)
    {
        using LogRecorder log = new();
        await using Api api = await Api.StartAsync(mini, Api.Options with { LoggerFactory = log });
        using TcpClient client = new();
        await client.ConnectAsync("127.0.0.1", api.Client.BaseAddress!.Port, TestContext.Current.CancellationToken);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(
            Encoding.ASCII.GetBytes($"POST /v1/rewards HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nabc"),
            TestContext.Current.CancellationToken);
        using StreamReader reader = new(stream);
        Assert.Equal("HTTP/1.1 400 Bad Request", await reader.ReadLineAsync(TestContext.Current.CancellationToken));
        Assert.DoesNotContain(log.Records, r => r.Level >= Microsoft.Extensions.Logging.LogLevel.Warning);
    }

    [Fact]
    public async Task A_body_that_is_too_deep_names_the_limit()
    {
        await using Api api = await Api.StartAsync(mini);
        foreach (string open in (string[])["[", "{\"a\":"])
            Assert.Contains("more than 16 deep", (await api.PostAsync("v1/rewards", string.Concat(Enumerable.Repeat(open, 100)))).Text, StringComparison.Ordinal);
        Assert.Contains("more than 16 deep", (await api.PostAsync("v1/rewards", new string('[', 1 << 17))).Text, StringComparison.Ordinal);
    }

    /// <summary>Ids, documents that come back, and errors: they wait with their request, beside the token ids that the queue counts.</summary>
    [Theory]
    [InlineData("id")]
    [InlineData("documents")]
    [InlineData("texts")]
    [InlineData("errors")]
    public async Task What_requests_keep_while_they_wait_is_bounded(string kind)
    {
        using SemaphoreSlim gate = new(0);
        await using Api api = await Api.StartAsync(mini, (texts, cancellation) =>
        {
            gate.Wait(cancellation);
            return mini.Model.ScoreTogether(texts, cancellation);
        }, Api.Options with { MaxBodyBytes = 1 << 18 });
        string large = string.Concat(Enumerable.Repeat("a ", 1 << 16));
        (string path, object body) = kind switch
        {
            "id" => ("v1/rewards", (object)new { id = large, prompt = "a", response = "b" }),
            "documents" => ("v1/rerank", new { query = "a", documents = new[] { large }, truncate_prompt_tokens = 8 }),
            "texts" => ("rerank", new { query = "a", texts = new[] { large }, truncate = true, return_text = true }),
            _ => ("v1/rewards", new { items = Enumerable.Repeat(new { prompt = "a", response = (string?)null }, 1000).Append(new { prompt = "a", response = (string?)"b" }) }),
        };
        // A request keeps 256 kB or more, and eight bodies have 2 MB.
        Task<Reply>[] replies = [.. Enumerable.Range(0, 20).Select(_ => api.PostAsync(path, body))];
        for (int i = 0; i < 500 && replies.Count(r => r.IsCompleted) < 12; i++) await Task.Delay(20, TestContext.Current.CancellationToken);
        int refused = replies.Count(r => r.IsCompleted);
        gate.Release(1000);
        Reply[] all = await Task.WhenAll(replies);
        Assert.InRange(refused, 12, 19);
        Assert.All(all.Where(r => r.Status != 200), r => Assert.Equal(429, r.Status));
        // What was taken is given back.
        for (int i = 0; i < 8; i++) Assert.Equal(200, (await api.PostAsync(path, body)).Status);
    }

    [Fact]
    public async Task Requests_that_wait_for_scores_are_not_closed_and_leave_room_for_others()
    {
        using SemaphoreSlim gate = new(0);
        await using Api api = await Api.StartAsync(mini, (texts, cancellation) =>
        {
            gate.Wait(cancellation);
            return mini.Model.ScoreTogether(texts, cancellation);
        }, Api.Options with { MaxConnections = 20, MaxConnectionsPerClient = 16 });
        Task<Reply>[] waiting = [.. Enumerable.Range(0, 40).Select(i => api.PostAsync("v1/rewards", new { prompt = "a", response = $"b {i}" }))];
        // When all have sent what they will, a new connection finds room beside those that wait.
        for (int i = 0; i < 500 && waiting.Count(w => w.IsCompleted) < 24; i++) await Task.Delay(20, TestContext.Current.CancellationToken);
        using HttpClient other = new() { BaseAddress = api.Client.BaseAddress };
        Assert.Equal("{\"status\":\"ok\"}", await other.GetStringAsync("health", TestContext.Current.CancellationToken));
        gate.Release(1000);
        int[] statuses = [.. (await Task.WhenAll(waiting.Select(async w =>
        {
            try
            {
                return (await w).Status;
            }
            catch (HttpRequestException)
            {
                return 0; // closed before it had sent its request
            }
        })))];
        Assert.InRange(statuses.Count(s => s == 200), 14, 40);
        Assert.All(statuses, status => Assert.Contains(status, (int[])[200, 429, 0]));
    }

    [Fact]
    public void Of_several_clients_the_one_with_most_connections_loses_one()
    {
        ConnectionTable table = new(max: 10, maxPerClient: 9, _ => false);
        List<ConnectionTable.Entry?> loud = [.. Enumerable.Range(0, 8).Select(_ => table.Admit(new Connection("10.0.0.1")))];
        ConnectionTable.Entry quiet = table.Admit(new Connection("10.0.0.2"))!, other = table.Admit(new Connection("10.0.0.3"))!;
        Assert.True(table.TrySet(loud[0]!, ConnectionState.Waiting));
        Assert.NotNull(table.Admit(new Connection("10.0.0.2")));
        // The oldest of its idle ones, which the waiting one is not.
        Assert.Equal([false, true, false, false, false, false, false, false], loud.Select(l => l!.IsClosed));
        Assert.False(quiet.IsClosed || other.IsClosed);
        // IPv6: a client has a whole network of addresses.
        ConnectionTable six = new(max: 10, maxPerClient: 2, _ => false);
        for (int i = 1; i < 8; i++) six.Admit(new Connection($"2001:db8::{i}"));
        Assert.Equal(2, six.Count);
        // A proxy speaks for many.
        ConnectionTable proxied = new(max: 10, maxPerClient: 2, address => address.ToString() == "10.0.0.1");
        for (int i = 0; i < 8; i++) proxied.Admit(new Connection("10.0.0.1"));
        Assert.Equal(8, proxied.Count);
    }

    [Fact]
    public async Task Health_has_a_port_of_its_own()
    {
        await using Api api = await Api.StartAsync(mini, Api.Options with { HealthPort = 0 });
        using HttpClient client = new() { BaseAddress = new Uri(Assert.Single(api.Server.HealthUrls)) };
        Assert.Equal("{\"status\":\"ok\"}", await client.GetStringAsync("health", TestContext.Current.CancellationToken));
        Assert.Equal("{\"status\":\"ready\"}", await client.GetStringAsync("ready?x=1", TestContext.Current.CancellationToken));
        using HttpRequestMessage head = new(HttpMethod.Head, "health"), post = new(HttpMethod.Post, "health");
        Assert.Equal(HttpStatusCode.OK, (await client.SendAsync(head, TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await client.SendAsync(post, TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await client.GetAsync("v1/models", TestContext.Current.CancellationToken)).StatusCode);
        // Callers that say nothing do not keep others from an answer.
        List<TcpClient> idle = [.. Enumerable.Range(0, 100).Select(_ => new TcpClient("127.0.0.1", client.BaseAddress.Port))];
        Assert.Equal("{\"status\":\"ok\"}", await client.GetStringAsync("health", TestContext.Current.CancellationToken));
        foreach (TcpClient one in idle) one.Dispose();
        await api.Server.StopAsync();
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await client.GetAsync("ready", TestContext.Current.CancellationToken)).StatusCode);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_caller_that_leaves_is_no_error_of_the_server(bool resets)
    {
        using LogRecorder log = new();
        await using Api api = await Api.StartAsync(mini, Api.Options with { LoggerFactory = log });
        using (TcpClient client = new())
        {
            await client.ConnectAsync("127.0.0.1", api.Client.BaseAddress!.Port);
            await client.GetStream().WriteAsync(Half);
            await Task.Delay(200, TestContext.Current.CancellationToken);
            if (resets) client.LingerState = new LingerOption(true, 0);
        }

        string text = "";
        for (int i = 0; i < 500 && !text.Contains("ldlvk_requests_total{", StringComparison.Ordinal); i++)
        {
            await Task.Delay(10, TestContext.Current.CancellationToken);
            text = (await api.GetAsync("metrics")).Text;
        }

        Assert.Contains("ldlvk_requests_total{endpoint=\"/v1/rewards\",status=\"499\"} 1\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain(log.Records, r => r.Level >= Microsoft.Extensions.Logging.LogLevel.Error);
    }

    [Fact]
    public async Task Errors_quote_little_of_a_request()
    {
        await using Api api = await Api.StartAsync(mini);
        string huge = new('x', 1 << 20);
        foreach (object body in (object[])[
            new { messages = new[] { new { role = huge, content = "a" } } }, new { prompt = huge, response = 3 }, new { input = huge, special_tokens = huge, encoding_format = huge },
            new Dictionary<string, object> { [huge] = 1 }, $"{{\"{huge}\":1,\"{huge}\":2}}", $"{{\"a\":{huge}}}", new { query = huge, documents = new[] { new { type = huge } } },
            new { conversations = new[] { new { from = huge, value = "a" } } }])
        {
            foreach (var protocol in RewardServer.Protocols)
            {
                Reply reply = await api.PostAsync(protocol.Path, body);
                Assert.InRange(reply.Status, 400, 499);
                Assert.InRange(reply.Text.Length, 10, 10_000);
            }
        }

        string twice = (await api.PostAsync("v1/rewards", "{\"prompt\":\"a\",\"prompt\":\"b\"}")).Text;
        Assert.DoesNotContain("line ,", twice, StringComparison.Ordinal);
        Assert.Contains("prompt", twice, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_body_becomes_is_bounded_too()
    {
        await using Api api = await Api.StartAsync(mini, Api.Options with { MaxQueueTokens = 1 << 16 });
        string values = $"{{\"items\":[{string.Concat(Enumerable.Repeat("[],", 1 << 20))}[]]}}";
        string fields = $"{{{string.Concat(Enumerable.Range(0, 100_000).Select(i => $"\"k{i}\":0,"))}\"prompt\":\"a\",\"response\":\"b\"}}";
        Assert.Equal(413, (await api.PostAsync("v1/rewards", values)).Status);
        Assert.Equal(400, (await api.PostAsync("v1/rewards", fields)).Status);
        // More tokens than may wait: refused without tokenizing the rest.
        Assert.Equal(413, (await api.PostAsync("v1/rewards", new { prompt = string.Concat(Enumerable.Repeat("word ", 5000)), responses = Enumerable.Repeat("a", 1000) })).Status);
    }

    [Fact]
    public async Task A_text_to_be_truncated_is_bounded_before_it_is_tokenized()
    {
        await using Api api = await Api.StartAsync(mini);
        int most = 64 * mini.Model.MaxTokens;
        async Task<string> Ask(string text)
        {
            Reply reply = await api.PostAsync("classify", new { input = text, truncate_prompt_tokens = -1 });
            return reply.Status == 200 ? "" : reply.Text;
        }

        Assert.Equal("", await Ask(string.Concat(Enumerable.Repeat("some words ", most / 10))));
        Assert.Contains("a word of", await Ask("b " + new string('a', most + 1) + " c"), StringComparison.Ordinal);
        Assert.Contains("also of a text that is truncated", await Ask(string.Concat(Enumerable.Repeat("word ", most * 2))), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_prompt_that_is_too_long_is_tokenized_once()
    {
        await using Api api = await Api.StartAsync(mini);
        string prompt = string.Concat(Enumerable.Repeat("word ", 9000));
        Reply reply = await api.PostAsync("v1/rewards", new { prompt, responses = (string[])["a", "b", "c"] });
        Assert.Equal(422, reply.Status);
        string[] reasons = [.. reply.Json.GetProperty("errors").EnumerateArray().Select(e => e.GetProperty("reason").GetString()!)];
        Assert.Contains("tokens, and the model takes at most 8192", reasons[0], StringComparison.Ordinal);
        Assert.All(reasons[1..], r => Assert.StartsWith("the prompt alone has more than the 8192 tokens", r, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_small_model_that_is_rewritten_in_place_is_still_the_old_one()
    {
        using TempFolder folder = new();
        foreach (string file in Directory.GetFiles(Repository.Path("models", "ldl-mini"))) File.Copy(file, Path.Combine(folder.Path, Path.GetFileName(file)));
        using RewardModel model = RewardModel.Load(folder.Path, new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32 });
        await using Api api = await Api.StartAsync(model);
        string weights = Path.Combine(folder.Path, "model.safetensors");
        await using (FileStream file = new(weights, FileMode.Open))
        {
            file.Position = file.Length / 2;
            file.Write(new byte[1 << 20]);
        }

        mini.IsScoreOf(mini.Goldens[0], (await api.PostAsync("classify", new { input = mini.Goldens[0].Text })).Ok.GetProperty("data")[0].GetProperty("probs")[0]);
        await using (FileStream file = new(weights, FileMode.Open)) file.SetLength(100);
        mini.IsScoreOf(mini.Goldens[1], (await api.PostAsync("classify", new { input = mini.Goldens[1].Text })).Ok.GetProperty("data")[0].GetProperty("probs")[0]);
    }

    [Fact]
    public async Task A_large_model_that_is_changed_is_refused_from_then_on()
    {
        using TempFolder folder = new();
        foreach (string file in Directory.GetFiles(Repository.Path("models", "ldl-mini"))) File.Copy(file, Path.Combine(folder.Path, Path.GetFileName(file)));
        string weights = Path.Combine(folder.Path, "model.safetensors");
        WideFile.Widen(weights, 65 << 20);
        using RewardModel model = RewardModel.Load(folder.Path, new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32 });
        LogRecorder log = new();
        await using Api api = await Api.StartAsync(model, Api.Options with { LoggerFactory = log });
        object body = new { prompt = "a", response = "b" };
        Assert.Equal(200, (await api.PostAsync("v1/rewards", body)).Status);
        await using (FileStream file = new(weights, FileMode.Open)) file.SetLength(1 << 20);
        Reply reply = await api.PostAsync("v1/rewards", body);
        Assert.Equal(503, reply.Status);
        Assert.Contains("its files have changed", reply.Json.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Contains(log.Records, record => record.Message.Contains("model.safetensors was changed after the model was loaded", StringComparison.Ordinal));
        Assert.Equal(503, (await api.GetAsync("ready")).Status);
        Assert.Equal(200, (await api.GetAsync("health")).Status);
    }

    private sealed class Connection(string address) : ConnectionContext
    {
        public override string ConnectionId { get; set; } = "";

        public override Microsoft.AspNetCore.Http.Features.IFeatureCollection Features { get; } = new Microsoft.AspNetCore.Http.Features.FeatureCollection();

        public override IDictionary<object, object?> Items { get; set; } = new Dictionary<object, object?>();

        public override System.IO.Pipelines.IDuplexPipe Transport { get; set; } = null!;

        public override EndPoint? RemoteEndPoint { get; set; } = new IPEndPoint(IPAddress.Parse(address), 1);

        public override void Abort(ConnectionAbortedException abortReason)
        {
        }
    }
}
