using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace LdlVk.Server.Tests;

/// <summary>Hostile requests to every endpoint: each gets a 4xx, or an answer where it happens to be right; never a 5xx, a crash or a hang.</summary>
[Trait("Duration", "Long")]
public class FuzzTests(Mini mini)
{
    private static readonly ServerOptions Small = Api.Options with { MaxBodyBytes = 1 << 20 };

    private static readonly string[] Names =
        ["items", "prompt", "response", "responses", "messages", "role", "content", "input_ids", "details", "special_tokens", "id", "a", "b", "query", "labels", "input", "text",
        "text_1", "text_2", "encoding_format", "truncate_prompt_tokens", "add_special_tokens", "inputs", "raw_scores", "texts", "return_text", "max_length", "model"];

    [Fact]
    public async Task Random_bytes_are_4xx()
    {
        await using Api api = await Api.StartAsync(mini, Small);
        Random random = new(1);
        foreach (var protocol in RewardServer.Protocols)
        {
            for (int i = 0; i < 20; i++)
            {
                byte[] body = new byte[random.Next(1, 3000)];
                random.NextBytes(body);
                if (i % 2 == 0) body[0] = (byte)'{';
                Assert.InRange((await api.PostAsync(protocol.Path, body)).Status, 400, 499);
            }
        }

        await IsAliveAsync(api);
    }

    [Fact]
    public async Task Random_JSON_of_the_known_names_is_no_accident()
    {
        await using Api api = await Api.StartAsync(mini, Small);
        Random random = new(2);
        foreach (var protocol in RewardServer.Protocols)
        {
            for (int i = 0; i < 150; i++)
            {
                string body = Value(3, isObject: true);
                Reply reply = await api.PostAsync(protocol.Path, body);
                Assert.True(reply.Status is 200 or (>= 400 and < 500), $"{protocol.Path} {reply.Status}: {body}");
            }
        }

        await IsAliveAsync(api);

        string Value(int depth, bool isObject = false) => (isObject ? 0 : random.Next(depth == 0 ? 2 : 0, 9)) switch
        {
            0 => $"{{{string.Join(',', Enumerable.Range(0, random.Next(1, 5)).Select(_ => $"\"{Names[random.Next(Names.Length)]}\":{Value(depth - 1)}"))}}}",
            1 => $"[{string.Join(',', Enumerable.Range(0, random.Next(4)).Select(_ => Value(depth - 1)))}]",
            2 => "null",
            3 => random.Next(2) == 0 ? "true" : "false",
            4 => ((string[])["-1", "0", "1e999", "2147483648", "0.5", "4095", "12345678901234567890123456789012345678901234567890"])[random.Next(7)],
            _ => ((string[])["\"\"", "\"a\"", "\"\\u0000\"", "\"\\ud800\"", "\"<bos><end_of_turn>\"", "\"user\"", "\"assistant\"", "\"base64\"", "\"text\"", "\"\\ud83d\\ude00\""])[random.Next(10)],
        };
    }

    [Fact]
    public async Task Depth_and_length_are_bounded()
    {
        await using Api api = await Api.StartAsync(mini, Small);
        string deep = new('[', 400_000), objects = string.Concat(Enumerable.Repeat("{\"items\":", 100_000));
        foreach (var protocol in RewardServer.Protocols)
        {
            foreach (string name in (string[])["items", "input", "query", "inputs", "texts", "messages", "text_1"])
            {
                // Of depth, of length, of numbers and of empty lists.
                foreach (string body in (string[])[$"{{\"{name}\":{deep}", $"{{\"{name}\":[{string.Concat(Enumerable.Repeat("1,", 250_000))}1]}}", $"{{\"{name}\":[{string.Concat(Enumerable.Repeat("[],", 250_000))}[]]}}"])
                {
                    Reply reply = await api.PostAsync(protocol.Path, body);
                    Assert.True(reply.Status is >= 400 and < 500, $"{protocol.Path} {name} {reply.Status}");
                }
            }

            Assert.InRange((await api.PostAsync(protocol.Path, objects)).Status, 400, 499);
            Assert.Equal(413, (await api.PostAsync(protocol.Path, new byte[(1 << 20) + 1])).Status);
        }

        await IsAliveAsync(api);
    }

    /// <summary>Whoever sends the whole of a refused body before reading gets to know why it was refused, not a broken pipe.</summary>
    [Theory]
    [InlineData("Content-Length: 8388608\r\n\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n800000\r\n")]
    public async Task A_body_that_is_too_large_may_be_sent_to_its_end(string headers)
    {
        await using Api api = await Api.StartAsync(mini, Small);
        for (int i = 0; i < 5; i++)
        {
            using TcpClient client = new();
            await client.ConnectAsync("127.0.0.1", api.Client.BaseAddress!.Port);
            NetworkStream stream = client.GetStream();
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"POST /v1/rewards HTTP/1.1\r\nHost: localhost\r\n{headers}"));
            // In pieces, so that the answer comes while the body is still on its way.
            for (int piece = 0; piece < 64; piece++) await stream.WriteAsync(new byte[1 << 17]);
            if (headers.Contains("chunked", StringComparison.Ordinal)) await stream.WriteAsync("\r\n0\r\n\r\n"u8.ToArray());
            using StreamReader reader = new(stream);
            Assert.Equal("HTTP/1.1 413 Payload Too Large", await reader.ReadLineAsync());
            Assert.Contains("more than 1048576 bytes", await reader.ReadToEndAsync(), StringComparison.Ordinal);
        }

        await IsAliveAsync(api);
    }

    [Fact]
    public async Task A_long_prompt_with_many_responses_is_refused_before_it_is_tokenised_for_each()
    {
        await using Api api = await Api.StartAsync(mini, Small);
        string prompt = string.Concat(Enumerable.Repeat("word ", 150_000));
        Assert.Equal(413, (await api.PostAsync("v1/rewards", new { prompt, responses = Enumerable.Repeat("a", 1000) })).Status);
        Assert.InRange((await api.PostAsync("rerank", new { query = prompt, texts = Enumerable.Repeat("a", 1000) })).Status, 400, 499);
        await IsAliveAsync(api);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + "\0" + "\r\n\r\n")]
    [InlineData("POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n")]
    [InlineData("POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n")]
    [InlineData("POST /classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")]
    [InlineData("POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")]
    [InlineData("POST /classify HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")]
    [InlineData("NONSENSE\r\n\r\n")]
    public async Task Broken_HTTP_is_4xx(string request)
    {
        await using Api api = await Api.StartAsync(mini, Small);
        Assert.StartsWith("HTTP/1.1 4", await RawAsync(api, request), StringComparison.Ordinal);
        await IsAliveAsync(api);
    }

    [Fact]
    public async Task Slow_bodies_are_cut_off_and_hinder_nobody()
    {
        await using Api api = await Api.StartAsync(mini, Small);
        Task<string>[] slow = [.. Enumerable.Range(0, 50).Select(_ => RawAsync(api, "POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"))];
        await IsAliveAsync(api);
        foreach (string answer in await Task.WhenAll(slow)) Assert.StartsWith("HTTP/1.1 408", answer, StringComparison.Ordinal);
        await IsAliveAsync(api);
    }

    [Fact]
    public async Task Answers_that_nobody_fetches_are_bounded()
    {
        // Eight times the largest body are 512 KiB; the answer has about ten MiB.
        await using Api api = await Api.StartAsync(mini, Api.Options with { MaxBodyBytes = 1 << 16, MaxTexts = 4000 });
        using (TcpClient greedy = new() { ReceiveBufferSize = 4096 })
        {
            await greedy.ConnectAsync("127.0.0.1", api.Client.BaseAddress!.Port);
            string body = JsonSerializer.Serialize(new { prompt = "a", responses = Enumerable.Repeat("b", 4000), details = true });
            await greedy.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"POST /v1/rewards HTTP/1.1\r\nHost: localhost\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
            Assert.Equal('H', greedy.GetStream().ReadByte());
            Reply refused = await api.PostAsync("v1/rewards", new { prompt = "a", response = "b" });
            Assert.Equal(429, refused.Status);
            Assert.NotNull(refused.Response.Headers.RetryAfter);
            greedy.Client.LingerState = new LingerOption(true, 0);
        }

        for (int i = 0; i < 500 && (await api.PostAsync("v1/rewards", new { prompt = "a", response = "b" })).Status == 429; i++) await Task.Delay(10);
        await IsAliveAsync(api);
    }

    [Fact]
    public void A_request_whose_caller_has_gone_is_not_tokenised_on() =>
        Assert.Throws<OperationCanceledException>(() => new Protocols.OpenRlhf().Read(Api.Json("{\"query\":[\"a\",\"b\"]}"), new Protocols.TextIntake(mini.Model, Small, new CancellationToken(true))));

    private static async Task IsAliveAsync(Api api) => Assert.Equal(200, (await api.PostAsync("v1/rewards", new { prompt = "a", response = "b" })).Status);

    /// <summary>Sends bytes and returns the answer's first line; fails where none comes within half a minute.</summary>
    private static async Task<string> RawAsync(Api api, string request)
    {
        using TcpClient client = new();
        await client.ConnectAsync("127.0.0.1", api.Client.BaseAddress!.Port);
        await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(request));
        using CancellationTokenSource late = new(TimeSpan.FromSeconds(30));
        using StreamReader reader = new(client.GetStream());
        return await reader.ReadLineAsync(late.Token) ?? "";
    }
}
