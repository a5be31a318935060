using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Server.Tests;

/// <summary>deploy/nginx before two servers, each with a model of its own: Debian's nginx, run with that file.</summary>
[Trait("Duration", "Long")]
public sealed class ProxyTests(Mini mini, ProxyTests.Shared shared) : IClassFixture<ProxyTests.Shared>
{
    /// <summary>Two servers and nginx for the tests that leave them as they are.</summary>
    public sealed class Shared : IAsyncDisposable
    {
        private readonly Lazy<Task<Pair>> _pair = new(() => Pair.StartAsync());

        internal Task<Pair> PairAsync => _pair.Value;

        public async ValueTask DisposeAsync()
        {
            if (_pair is { IsValueCreated: true, Value.IsCompletedSuccessfully: true }) await (await _pair.Value).DisposeAsync();
        }
    }

    private const string Header = "X-Ldlvk-Server";

    /// <summary>Long enough that the cache keeps it.</summary>
    private static string Prompt(int number) => string.Join(' ', Enumerable.Range(0, 30).Select(i => $"word{number * 100 + i}"));

    private static object Body(int prompt, int answer) => new { prompt = Prompt(prompt), response = $"answer {answer}" };

    [Fact]
    public async Task All_answers_to_a_prompt_meet_the_server_that_has_it_in_its_cache()
    {
        await using Pair pair = await Pair.StartAsync();
        const int prompts = 12, answers = 4;
        long[] cached = new long[answers];
        HashSet<string> used = [];
        for (int answer = 0; answer < answers; answer++)
        {
            for (int prompt = 0; prompt < prompts; prompt++)
            {
                Reply reply = await pair.PostAsync("v1/rewards", Body(prompt, answer));
                Assert.Equal(
                    mini.Model.Score(new Conversation(Prompt(prompt), $"answer {answer}")).Score,
                    reply.Ok.GetProperty("data")[0].GetProperty("score").GetSingle());
                cached[answer] += CachedTokens(reply);
                used.Add(ServerOf(reply));
            }
        }

        // As with one server: a prompt is met and kept, at the latest when it is met again, and there for all that follow.
        Assert.Equal(0, cached[0]);
        Assert.All(cached[2..], tokens => Assert.InRange(tokens, prompts * 60, prompts * 1000));
        Assert.Equal(2, used.Count);
    }

    /// <summary>The key in each protocol's shape: requests of one prompt or conversation go to one server, and several prompts to both.</summary>
    [Theory]
    [InlineData("v1/rewards", """{"prompt":"P","response":"A"}""")]
    [InlineData("v1/rewards", """{"items":[{"prompt":"P","responses":["A"]}]}""")]
    [InlineData("v1/rewards", """{"messages":[{"role":"user","content":"P"},{"role":"assistant","content":"A"}]}""")]
    [InlineData("v1/chat/completions", """{"messages":[{"role":"user","content":[{"type":"text","text":"P"}]},{"role":"assistant","content":"A"}]}""")]
    [InlineData("v1/compare", """{"prompt":"P","a":"A","b":"b"}""")]
    [InlineData("get_reward", """{"query":["<bos><start_of_turn>user\nP<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n"]}""")]
    [InlineData("score", """{"text_1":"P","text_2":"A"}""")]
    [InlineData("rerank", """{"query":"P","documents":["A"]}""")]
    [InlineData("predict", """{"inputs":[["P","A"]]}""")]
    [InlineData("tokenize", """{"prompt":"P"}""")]
    [InlineData("nowhere", """{"text":["P<|im_start|>assistant\nA"]}""")]
    public async Task The_prompt_chooses_the_server_in_every_protocol(string path, string body)
    {
        Pair pair = await shared.PairAsync;
        HashSet<string> used = [];
        for (int prompt = 0; prompt < 24; prompt++)
        {
            List<string> servers = [];
            for (int answer = 0; answer < 3; answer++)
            {
                string text = body.Replace("A", $"the answer {answer}", StringComparison.Ordinal).Replace("P", $"{prompt * 7919} prompt", StringComparison.Ordinal);
                servers.Add(ServerOf(await pair.PostAsync(path, text)));
            }

            used.Add(Assert.Single(servers.Distinct()));
        }

        Assert.Equal(2, used.Count);
    }

    [Fact]
    public async Task A_header_of_the_client_counts_first_and_bodies_without_a_prompt_go_anywhere()
    {
        Pair pair = await shared.PairAsync;
        List<string> keyed = [], unreadable = [], turns = [];
        for (int i = 0; i < 24; i++)
        {
            keyed.Add(ServerOf(await pair.PostAsync("v1/rewards", Body(i, 0), ("X-Prompt-Key", "session 7"))));
            Reply bad = await pair.PostAsync("v1/rewards", """{"prompt":""");
            Assert.Equal(400, bad.Status);
            unreadable.Add(ServerOf(bad));
            // A conversation that grows stays where it is; the system message alone does not choose.
            object[] messages = [new { role = "system", content = "Be brief." }, new { role = "user", content = "Question." }, .. Enumerable.Range(0, i).SelectMany(
                t => (object[])[new { role = "assistant", content = $"Answer {t}." }, new { role = "user", content = "And then?" }]), new { role = "assistant", content = "End." }];
            turns.Add(ServerOf(await pair.PostAsync("v1/rewards", new { messages })));
        }

        Assert.Single(keyed.Distinct());
        Assert.Equal(2, unreadable.Distinct().Count());
        Assert.Single(turns.Distinct());
    }

    /// <summary>No request is lost while one server is told to stop, refuses, and is gone; its prompts go to the other one.</summary>
    [Fact]
    public async Task A_server_that_stops_is_left_without_a_lost_request()
    {
        await using Pair pair = await Pair.StartAsync();
        bool stopped = false;
        int after = 0;
        string gone = pair.Apis[0].Client.BaseAddress!.Authority;
        Task[] clients = [.. Enumerable.Range(0, 4).Select(async client =>
        {
            for (int i = 0; !Volatile.Read(ref stopped) || Volatile.Read(ref after) < 40; i++)
            {
                bool late = Volatile.Read(ref stopped);
                Reply reply = await pair.PostAsync("v1/rewards", Body(client * 100 + i % 9, i));
                Assert.Equal(200, reply.Status);
                if (!late) continue;
                Assert.NotEqual(gone, ServerOf(reply));
                Interlocked.Increment(ref after);
            }
        })];
        await Task.Delay(300, TestContext.Current.CancellationToken);
        await pair.Apis[0].Server.StopAsync();
        Volatile.Write(ref stopped, true);
        await Task.WhenAll(clients);
    }

    /// <summary>A full queue is the client's to wait for: 429 is no reason to call a server dead.</summary>
    [Fact]
    public async Task A_full_queue_is_passed_on()
    {
        TaskCompletionSource gate = new();
        await using Pair pair = await Pair.StartAsync(model => (texts, cancellation) =>
        {
            gate.Task.Wait(cancellation);
            return model.ScoreTogether(texts, cancellation);
        });
        Task<Reply>[] waiting = [.. Enumerable.Range(0, 40).Select(i => pair.PostAsync("v1/rewards", Body(1, i)))];
        Reply refused = await await Task.WhenAny(waiting);
        Assert.Equal(429, refused.Status);
        Assert.NotNull(refused.Response.Headers.RetryAfter);
        gate.SetResult();
        Assert.All(await Task.WhenAll(waiting), reply => Assert.True(reply.Status is 200 or 429));
        Assert.Equal(200, (await pair.PostAsync("v1/rewards", Body(1, 0))).Status);
    }

    private static long CachedTokens(Reply reply) =>
        reply.Ok.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt64();

    /// <summary>The server that answered: the last of those that nginx has asked.</summary>
    private static string ServerOf(Reply reply) => reply.Response.Headers.GetValues(Header).Single().Split(", ")[^1];

    /// <summary>Two servers and nginx before them.</summary>
    internal sealed class Pair : IAsyncDisposable
    {
        private readonly TempFolder _temp = new();
        private readonly List<RewardModel> _models = [];
        private Process? _nginx;

        public List<Api> Apis { get; } = [];

        public HttpClient Client { get; } = new() { Timeout = TimeSpan.FromSeconds(60) };

        public static async Task<Pair> StartAsync(Func<RewardModel, Scoring.ScoreTexts>? score = null)
        {
            if (OperatingSystem.IsWindows()) Assert.Skip("eng/fetch-debian is for a Unix shell.");
            (string? folder, string? whyNot) = FetchScript.Run("fetch-debian", "nginx", "libnginx-mod-http-js");
            if (folder is null) Assert.Skip($"nginx is not here: {whyNot}");
            Pair pair = new();
            for (int i = 0; i < 2; i++)
            {
                RewardModel model = RewardModel.Load(Repository.Path("models", "ldl-mini"), new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32 });
                pair._models.Add(model);
                ServerOptions options = Api.Options with { MaxQueue = score is null ? Api.Options.MaxQueue : 4 };
                RewardServer server = await RewardServer.StartAsync(model, score?.Invoke(model) ?? model.ScoreTogether, options);
                pair.Apis.Add(new Api(server));
            }

            await pair.StartProxyAsync(folder);
            return pair;
        }

        public async Task<Reply> PostAsync(string path, object body, params (string Name, string Value)[] headers)
        {
            using HttpRequestMessage request = new(HttpMethod.Post, path);
            request.Content = new StringContent(body as string ?? JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");
            foreach ((string name, string value) in headers) request.Headers.Add(name, value);
            using HttpResponseMessage response = await Client.SendAsync(request);
            return await Reply.OfAsync(response);
        }

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            if (_nginx is { HasExited: false }) _nginx.Kill();
            _nginx?.Dispose();
            foreach (Api api in Apis) await api.DisposeAsync();
            foreach (RewardModel model in _models) model.Dispose();
            _temp.Dispose();
        }

        private async Task StartProxyAsync(string folder)
        {
            int port;
            using (TcpListener free = new(IPAddress.Loopback, 0))
            {
                free.Start();
                port = ((IPEndPoint)free.LocalEndpoint).Port;
            }

            Client.BaseAddress = new Uri($"http://127.0.0.1:{port}");
            string example = Changed(
                await File.ReadAllTextAsync(Repository.Path("deploy", "nginx", "ldlvk.conf")),
                ("/etc/nginx/ldlvk;", Repository.Path("deploy", "nginx") + ";"),
                ("10.0.0.1:8000", Apis[0].Client.BaseAddress!.Authority),
                ("10.0.0.2:8000", Apis[1].Client.BaseAddress!.Authority),
                ("listen 8080;", $"listen 127.0.0.1:{port};"));
            string temporary = string.Concat(((string[])["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]).Select(use => $"{use}_temp_path {_temp.Path}/{use};\n"));
            string configuration = _temp.Write("nginx.conf", $$"""
                load_module {{folder}}/usr/lib/nginx/modules/ngx_http_js_module.so;
                daemon off;
                master_process off;
                pid {{_temp.Path}}/pid;
                events {}
                http {
                access_log off;
                {{temporary}}
                {{example}}
                }
                """);
            string log = Path.Combine(_temp.Path, "error.log");
            _nginx = Process.Start(new ProcessStartInfo(Path.Combine(folder, "usr", "sbin", "nginx"), ["-p", _temp.Path, "-e", log, "-c", configuration]))!;
            for (long begun = Stopwatch.GetTimestamp(); ; await Task.Delay(20))
            {
                try
                {
                    if ((await Client.GetAsync("ready")).IsSuccessStatusCode) return;
                }
                catch (HttpRequestException) when (!_nginx.HasExited && Stopwatch.GetElapsedTime(begun) < TimeSpan.FromSeconds(20))
                {
                    continue;
                }

                Assert.Fail($"nginx does not answer: {await File.ReadAllTextAsync(log)}");
            }
        }

        private static string Changed(string text, params (string From, string To)[] changes)
        {
            foreach ((string from, string to) in changes)
            {
                Assert.Contains(from, text, StringComparison.Ordinal);
                text = text.Replace(from, to, StringComparison.Ordinal);
            }

            return text;
        }
    }
}
