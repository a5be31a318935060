using System.Text.Json;
using LdlVk.Server;
using LdlVk.Testing;

[assembly: AssemblyFixture(typeof(LdlVk.Clients.Tests.Served))]

namespace LdlVk.Clients.Tests;

/// <summary>The project's small model on a server with a key, and the scores that the library computes for some conversations.</summary>
public sealed class Served : IAsyncLifetime
{
    public const string Key = "the-key-of-the-tests";

    private readonly RewardModel _model = RewardModel.Load(
        Repository.Path("models", "ldl-mini"),
        new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32, SystemMessages = SystemMessages.Merge });

    private RewardServer _server = null!;

    /// <summary>A prompt and a response, the text that the model reads, and its score.</summary>
    public sealed record Case(string Prompt, string Response, string Text, float Score);

    public string Url => _server.Urls[0];

    public IReadOnlyList<Case> Cases { get; private set; } = [];

    /// <summary>The score that a response has as one to the first case's prompt, which rerankers ask for.</summary>
    public float ScoreToFirstPrompt(string response) => _model.Score(new Conversation(Cases[0].Prompt, response)).Score;

    /// <summary>Names and values of the first case's attributes.</summary>
    public IEnumerable<(string Name, float Value)> AttributesOfFirst
    {
        get
        {
            Reward reward = _model.Score(new Conversation(Cases[0].Prompt, Cases[0].Response));
            return _model.AttributeNames.Select((name, i) => (name, reward.AttributeScore(i)));
        }
    }

    public async ValueTask InitializeAsync()
    {
        List<Case> cases = [];
        foreach (string line in File.ReadLines(Repository.Path("tests", "data", "ldl-mini", "goldens.jsonl")))
        {
            using JsonDocument json = JsonDocument.Parse(line);
            string[] messages = [.. json.RootElement.GetProperty("messages").EnumerateArray().Select(m => m.GetProperty("content").GetString()!)];
            if (messages is not [var prompt, var response]) continue;
            Conversation conversation = new(prompt, response);
            cases.Add(new Case(prompt, response, _model.Render(conversation), _model.Score(conversation).Score));
            if (cases.Count == 8) break;
        }

        Cases = cases;
        _server = await RewardServer.StartAsync(
            _model, new ServerOptions { Urls = ["http://127.0.0.1:0"], ModelName = "mini", ApiKey = Key });
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _model.Dispose();
    }
}
