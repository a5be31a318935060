using System.Net;
using System.Text;
using System.Text.Json;
using LdlVk.Server.Scoring;
using LdlVk.Testing;

[assembly: AssemblyFixture(typeof(LdlVk.Server.Tests.Mini))]

namespace LdlVk.Server.Tests;

/// <summary>The project's small model on the CPU, loaded once, and what the reference implementation says of some conversations.</summary>
public sealed class Mini : IDisposable
{
    /// <summary>A conversation, its text with the template, and the reference's fp32 score.</summary>
    public sealed record Golden(Conversation Conversation, string Text, int[] Ids, float Score)
    {
        public string Prompt => Conversation.Messages[0].Content;

        public string Response => Conversation.Messages[1].Content;
    }

    public Mini()
    {
        Model = RewardModel.Load(Repository.Path("models", "ldl-mini"), new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32 });
        Goldens = [.. File.ReadLines(Repository.Path("tests", "data", "ldl-mini", "goldens.jsonl")).Select(line =>
        {
            JsonElement json = Api.Json(line);
            Conversation conversation = new([.. json.GetProperty("messages").EnumerateArray().Select(m => new Message(m.GetProperty("role").GetString()!, m.GetProperty("content").GetString()!))]);
            return new Golden(conversation, json.GetProperty("text").GetString()!, [.. json.GetProperty("token_ids").EnumerateArray().Select(i => i.GetInt32())], json.GetProperty("score").GetSingle());
        }).Where(g => g.Conversation.Messages.Count == 2)];
    }

    public RewardModel Model { get; }

    public Golden[] Goldens { get; }

    /// <summary>A score as it must come back: near the reference, and to the bit what the text has alone.</summary>
    public void IsScoreOf(Golden golden, JsonElement score)
    {
        Assert.Equal(golden.Score, score.GetSingle(), 5e-4f);
        Assert.Equal(Model.Score(golden.Ids).Score, score.GetSingle());
    }

    public void Dispose() => Model.Dispose();
}

/// <summary>The small model with a head that gives the score alone.</summary>
internal sealed class ScoreAlone : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ldlvk-").FullName;

    public ScoreAlone()
    {
        OtherHead.WriteScoreAlone(_folder);
        Model = RewardModel.Load(_folder, new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32 });
    }

    public RewardModel Model { get; }

    public Task<Api> StartAsync() => Api.StartAsync(Model);

    public void Dispose()
    {
        Model.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}

/// <summary>A server on a free port, and a client of it.</summary>
internal sealed class Api : IAsyncDisposable
{
    public Api(RewardServer server)
    {
        Server = server;
        Client = new HttpClient { BaseAddress = new Uri(server.Urls[0]), Timeout = TimeSpan.FromSeconds(60) };
    }

    public RewardServer Server { get; }

    public HttpClient Client { get; }

    public static ServerOptions Options { get; } = new() { Urls = ["http://127.0.0.1:0"], ModelName = "mini" };

    public static Task<Api> StartAsync(Mini mini, ServerOptions? options = null) => StartAsync(mini.Model, options);

    public static async Task<Api> StartAsync(RewardModel model, ServerOptions? options = null) => new(await RewardServer.StartAsync(model, options ?? Options));

    /// <summary>A server that scores with a way of the test's.</summary>
    public static async Task<Api> StartAsync(Mini mini, ScoreTexts score, ServerOptions? options = null) => new(await RewardServer.StartAsync(mini.Model, score, options ?? Options));

    public static JsonElement Json(string text)
    {
        using JsonDocument json = JsonDocument.Parse(text);
        return json.RootElement.Clone();
    }

    /// <summary>Posts an object and returns the answer's status, media type and JSON.</summary>
    public async Task<Reply> PostAsync(string path, object body, CancellationToken cancellation = default) =>
        await PostAsync(path, body is string text ? Encoding.UTF8.GetBytes(text) : JsonSerializer.SerializeToUtf8Bytes(body), cancellation);

    public async Task<Reply> PostAsync(string path, byte[] body, CancellationToken cancellation = default)
    {
        using ByteArrayContent content = new(body);
        content.Headers.ContentType = new("application/json");
        using HttpResponseMessage response = await Client.PostAsync(path, content, cancellation);
        return await Reply.OfAsync(response);
    }

    public async Task<Reply> GetAsync(string path, params (string Name, string Value)[] headers)
    {
        using HttpRequestMessage request = new(HttpMethod.Get, path);
        foreach ((string name, string value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        using HttpResponseMessage response = await Client.SendAsync(request);
        return await Reply.OfAsync(response);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Server.DisposeAsync();
    }
}

/// <summary>An answer.</summary>
internal sealed record Reply(int Status, string? Type, string Text, HttpResponseMessage Response)
{
    public JsonElement Json => Api.Json(Text);

    /// <summary>The JSON of a request that must succeed.</summary>
    public JsonElement Ok
    {
        get
        {
            Assert.True(Status == (int)HttpStatusCode.OK, $"{Status}: {Text}");
            return Json;
        }
    }

    public static async Task<Reply> OfAsync(HttpResponseMessage response) =>
        new((int)response.StatusCode, response.Content.Headers.ContentType?.MediaType, await response.Content.ReadAsStringAsync(), response);
}
