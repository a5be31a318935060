using System.Text.Json;
using LdlVk.Server;
using LdlVk.Testing;
using Microsoft.Extensions.AI;

[assembly: AssemblyFixture(typeof(LdlVk.Extensions.AI.Tests.Mini))]

namespace LdlVk.Extensions.AI.Tests;

/// <summary>The project's small model on the CPU, a server that has it, and conversations that the reference implementation scored.</summary>
public sealed class Mini : IAsyncLifetime
{
    public const string Key = "the-key-of-the-tests";

    /// <summary>A conversation, and the reference's fp32 score.</summary>
    public sealed record Golden(Conversation Conversation, float Score)
    {
        public ChatMessage[] Before => [.. Conversation.Messages.SkipLast(1).Select(m => new ChatMessage(new ChatRole(m.Role), m.Content))];

        public ChatResponse Response => new(new ChatMessage(ChatRole.Assistant, Conversation.Messages[^1].Content));
    }

    public RewardModel Model { get; } = RewardModel.Load(
        Repository.Path("models", "ldl-mini"), new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32 });

    public Golden[] Goldens { get; } =
    [
        .. File.ReadLines(Repository.Path("tests", "data", "ldl-mini", "goldens.jsonl")).Take(12).Select(line =>
        {
            using JsonDocument json = JsonDocument.Parse(line);
            Message[] messages =
            [
                .. json.RootElement.GetProperty("messages").EnumerateArray()
                    .Select(m => new Message(m.GetProperty("role").GetString()!, m.GetProperty("content").GetString()!)),
            ];
            return new Golden(new Conversation(messages), json.RootElement.GetProperty("score").GetSingle());
        }),
    ];

    public RewardServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Server = await StartAsync(Model);

    public static Task<RewardServer> StartAsync(RewardModel model, string name = "mini") =>
        RewardServer.StartAsync(model, new ServerOptions { Urls = ["http://127.0.0.1:0"], ModelName = name, ApiKey = Key });

    /// <summary>A client of a server, with the key.</summary>
    public static HttpClient ClientOf(RewardServer server, string? key = Key)
    {
        HttpClient client = new() { BaseAddress = new Uri(server.Urls[0]) };
        if (key is not null) client.DefaultRequestHeaders.Authorization = new("Bearer", key);
        return client;
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        Model.Dispose();
    }
}
